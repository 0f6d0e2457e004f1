/** Lets a host function change the logits between the processors and the token choice. */
import { InputError } from '../../errors.ts';
import { Pass, type ReadBack } from '../../gpu/pass.ts';
import { freeTensors, type Tensor, writePiece, zeros } from '../../gpu/tensor.ts';
import type { ModelParts } from '../graph/modelParts.ts';
import type { TokenChooser } from './tokenChooser.ts';

/** Changes `logits` [vocabSize] f32 in place; -Infinity bans a token. */
export type ChangeLogits = (logits: Float32Array) => void | Promise<void>;

/** For each token the logits are copied to the host and back (8 · vocabSize bytes), so every step needs a wait of its own. */
export class LogitsHook {
  /** The pass after the hook. It makes the choice, and each `run` submits it once. */
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

  /** Records at the end of `pass` the copy of `logits` [1, vocabSize] f32 to the host. Only the last recorded pass may run. */
  record(pass: Pass, logits: Tensor): void {
    pass.copy(logits, this.#logits);
    this.#arrived = pass.readBack(logits);
  }

  /**
   * Waits for the recorded pass, calls the function, and queues the choice.
   *
   * @throws whatever the function throws; InputError INPUT_LENGTH if it transferred the logits' buffer; GpuError
   */
  async run(): Promise<void> {
    const logits = (await this.#arrived?.read()) as Float32Array;
    const { length } = logits;
    await this.#change(logits);
    if (logits.length !== length) {
      // Only a transferred buffer changes its length.
      throw new InputError('INPUT_LENGTH', "the logits processor transferred the logits' buffer", {
        field: 'logitsProcessor',
        hint: 'change the logits in place, and transfer only copies',
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
