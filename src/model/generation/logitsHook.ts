/** Lets a function on the host change the logits between the processors and the choice. */
import { InputError } from '../../errors.ts';
import { Pass, type ReadBack } from '../../gpu/pass.ts';
import { freeTensors, type Tensor, writePiece, zeros } from '../../gpu/tensor.ts';
import type { ModelParts } from '../graph/modelParts.ts';
import type { TokenChooser } from './tokenChooser.ts';

/** Changes `logits` [vocabSize] in place; -Infinity bans a token. */
export type ChangeLogits = (logits: Float32Array) => void | Promise<void>;

/** The logits come to the host and go back once a token: 8 · vocabSize bytes, and no two steps in one wait. */
export class LogitsHook {
  /** What is recorded behind the hook; each `run` is one of its runs. */
  readonly pass: Pass;
  readonly #change: ChangeLogits;
  readonly #logits: Tensor; // [1, vocabSize]
  #arrived: ReadBack | null = null;

  constructor({ gpu, config }: ModelParts, chooser: TokenChooser, token: Tensor, change: ChangeLogits) {
    this.#change = change;
    this.#logits = zeros(gpu, 'f32', [1, config.llm.vocabSize], 'hooked logits');
    this.pass = new Pass(gpu, 'choice');
    chooser.choose(this.pass, this.#logits, token);
  }

  /** Records at the end of a pass that `logits` [1, vocabSize] go to the host. Only the pass recorded last may run. */
  record(pass: Pass, logits: Tensor): void {
    pass.copy(logits, this.#logits);
    this.#arrived = pass.readBack(logits);
  }

  /** Waits for the recorded pass, calls the function, and queues the choice. @throws what the function throws; GpuError */
  async run(): Promise<void> {
    const logits = (await this.#arrived?.read()) as Float32Array;
    const { length } = logits;
    await this.#change(logits);
    if (logits.length !== length) {
      // Only a transferred buffer has another length afterwards.
      throw new InputError('INPUT_LENGTH', 'the logits were given away by the logits processor', {
        field: 'logitsProcessor',
        hint: 'change them in place, or transfer a copy',
      });
    }
    writePiece(this.pass.gpu, this.#logits.pieces[0], 0, new Uint8Array(logits.buffer));
    await this.pass.submit();
  }

  async destroy(): Promise<void> {
    await this.pass.destroy();
    await freeTensors(this.pass.gpu, [this.#logits]);
  }
}
