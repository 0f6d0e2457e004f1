/**
 * The whole model. From here read on in this order: processor (messages to patches and ids), vision, projector, decoder,
 * sequence (prefill and decode), generate, chat.
 */
import { GenerationError } from '../errors.ts';
import { type Gpu, openGpu } from '../gpu/device.ts';
import type { PassListener, TapListener } from '../gpu/pass.ts';
import { freeTensors } from '../gpu/tensor.ts';
import type { PreprocessedImage } from '../processor/patches.ts';
import type { PreparedInputs, PrepareOptions, Processor } from '../processor/processor.ts';
import type { Message } from '../processor/text/messages.ts';
import { Chat, type ChatOptions } from './chat/chat.ts';
import type { ModelFiles } from './checkpoint/byteSource.ts';
import { Checkpoint } from './checkpoint/checkpoint.ts';
import { type ModelConfig, readModelConfig } from './checkpoint/config.ts';
import type { Tuning } from './fast/variants.ts';
import { generate } from './generation/generate.ts';
import type { GenerateOptions, GenerationResult } from './generation/generateOptions.ts';
import { GenerationStream } from './generation/generationStream.ts';
import { Pace } from './generation/pace.ts';
import type { GeneratingModel } from './generation/preparePrompt.ts';
import { Sequence } from './generation/sequence.ts';
import type { ModelParts } from './graph/modelParts.ts';
import type { Positions } from './graph/positions.ts';
import { chooseForms, type KernelOptions } from './load/forms.ts';
import { checkKernelOptions, checkOwnKernels } from './load/kernelOptions.ts';
import { loadProcessor, readOptional } from './load/loadProcessor.ts';
import { loadWeights } from './load/loadWeights.ts';
import type { LoadProgress } from './load/weightLoader.ts';

export interface LoadOptions extends Omit<KernelOptions, 'tuning'> {
  /** The result of `tune` for this adapter, or a function that finds it, e.g. `readTuning` of `m2-reasoning/node`. Default: none. */
  readonly tuning?: Tuning | null | ((gpu: Gpu) => Promise<Tuning | null>);
  /** Default: a device of the model's own, which `destroy` also destroys. */
  readonly gpu?: Gpu;
  readonly onProgress?: (progress: LoadProgress) => void;
}

/** Inputs of `M2Reasoning.forward`: those that `prepare` returns, and positions (`positionsFor`). */
export interface ForwardInputs {
  readonly inputIds: readonly number[]; // [tokens]
  readonly images: readonly PreprocessedImage[];
  readonly positions: Positions;
}

export interface ForwardOptions {
  /** Number of new tokens, chosen greedily; default 1, for which the prefill is enough. */
  readonly steps?: number;
  /** See `GenerateOptions`. */
  readonly videoRope?: 'sections' | 'swapped';
  /** Prompt tokens per submit; see `SequenceOptions`. */
  readonly prefillChunk?: number;
  /** Called with each new token. Several may come at once, as with `generate`. */
  readonly onToken?: (token: number) => void;
  /** Gets the tensor of every stage, under the name that the goldens use (docs/MODEL.md, section 8). */
  readonly tap?: TapListener;
  /** Gets every pass: each prompt pass after it has run, and the decode pass after the last token. See `profilePass`. */
  readonly onPass?: PassListener;
}

/** M2-Reasoning: a vision tower, a projector and a Qwen2 decoder, on one GPU. */
export class M2Reasoning {
  readonly config: ModelConfig;
  readonly processor: Processor;
  /** Found at load, e.g. tensors that the model does not use, or a kernel of your own that never runs. */
  readonly warnings: readonly string[];
  readonly #parts: ModelParts;
  readonly #generationConfig: Uint8Array | null;
  readonly #ownsGpu: boolean;
  #destroyed = false;

  private constructor(
    parts: ModelParts,
    processor: Processor,
    rest: { warnings: readonly string[]; generationConfig: Uint8Array | null; ownsGpu: boolean },
  ) {
    this.config = parts.config;
    this.processor = processor;
    this.warnings = rest.warnings;
    this.#parts = parts;
    this.#generationConfig = rest.generationConfig;
    this.#ownsGpu = rest.ownsGpu;
  }

  /**
   * Loads a checkpoint. Config, tokenizer and weight headers are checked before the first weight is uploaded.
   *
   * @param source the path of a folder (Node only), or the folder's files from anywhere
   * @throws CheckpointError, ConfigError, TokenizerError (a file); GpuError (no adapter, out of memory); InputError (an option);
   *   KernelError (a kernel of your own). After an error nothing stays open.
   */
  static async load(source: string | ModelFiles, options: LoadOptions = {}): Promise<M2Reasoning> {
    checkKernelOptions(options);
    const files = typeof source === 'string' ? await folderOf(source) : source;
    const config = await readModelConfig(files);
    const processor = await loadProcessor(files, config);
    const generationConfig = await readOptional(files, 'generation_config.json');
    const checkpoint = await Checkpoint.open(files, config);
    let gpu = options.gpu;
    try {
      gpu ??= await openGpu();
      const tuning = typeof options.tuning === 'function' ? await options.tuning(gpu) : options.tuning;
      await checkOwnKernels(gpu, options);
      const forms = chooseForms(gpu, config, { ...options, tuning });
      const weights = await loadWeights(gpu, checkpoint, config, forms, options.onProgress);
      const parts = { gpu, config, kernels: forms.kernels, attention: forms.attention, weights };
      const warnings = [...checkpoint.warnings, ...forms.notes()];
      return new M2Reasoning(parts, processor, {
        warnings,
        generationConfig,
        ownsGpu: options.gpu === undefined,
      });
    } catch (error) {
      if (options.gpu === undefined) gpu?.destroy();
      throw error;
    } finally {
      await checkpoint.close();
    }
  }

  get gpu(): Gpu {
    return this.#parts.gpu;
  }

  /**
   * Answers a conversation, greedily by default; `options` choose sampling, penalties or beam search.
   *
   * @returns a stream of text (`for await`) whose `result` is the whole answer and its parts
   * @throws (from the stream) InputError, ImageError, PromptError for the messages; ConfigError for generation_config.json;
   *   GenerationError GEN_RANGE, GEN_ABORTED, GEN_NONFINITE, GEN_DISPOSED; KernelError; GpuError
   */
  generate(messages: readonly Message[], options: GenerateOptions = {}): GenerationStream<GenerationResult> {
    return new GenerationStream(async (push, left) => {
      this.#assertAlive();
      return generate(this.#generating(), messages, options, push, left);
    });
  }

  /**
   * Begins a conversation that keeps its KV cache from turn to turn; see `Chat`. Destroy it before the model.
   *
   * @throws GenerationError GEN_RANGE (`context`), GEN_DISPOSED; InputError (`system`)
   */
  chat(options: ChatOptions = {}): Chat {
    this.#assertAlive();
    return new Chat({ ...this.#generating(), assertAlive: () => this.#assertAlive() }, options);
  }

  /** Turns messages into patches and token ids, without the GPU. Parameters and errors as `Processor.prepare`. */
  prepare(messages: readonly Message[], options: PrepareOptions = {}): Promise<PreparedInputs> {
    return this.processor.prepare(messages, options);
  }

  /**
   * Runs prepared inputs through the same code as `generate`, greedily, and can show every stage (`tap`).
   *
   * @returns the chosen token ids
   * @throws InputError INPUT_RANGE (`videoRope`); GenerationError GEN_NONFINITE, GEN_DISPOSED; KernelError; GpuError
   */
  async forward(
    { inputIds, images, positions }: ForwardInputs,
    options: ForwardOptions = {},
  ): Promise<number[]> {
    this.#assertAlive();
    const { steps = 1, onToken, ...sequenceOptions } = options;
    const context = inputIds.length + steps;
    const sequence = new Sequence(this.#parts, { context, positions, ...sequenceOptions });
    const pace = new Pace(options.tap ? 1 : null);
    const tokens: number[] = [];
    try {
      let chosen = [await sequence.prefill(inputIds, images)];
      for (;;) {
        for (const { id } of chosen) {
          tokens.push(id);
          onToken?.(id);
        }
        if (tokens.length === steps) break;
        const count = Math.min(pace.steps, steps - tokens.length);
        chosen = await pace.timed(count, sequence.decode(count));
      }
      await sequence.showDecode();
      return tokens;
    } finally {
      await sequence.destroy();
    }
  }

  /** Frees the weights, and the device if `load` opened it. Safe to call twice. */
  async destroy(): Promise<void> {
    if (this.#destroyed) return;
    this.#destroyed = true;
    await freeTensors(this.#parts.gpu, this.#parts.weights.tensors);
    if (this.#ownsGpu) this.#parts.gpu.destroy();
  }

  #generating(): GeneratingModel {
    return { ...this.#parts, processor: this.processor, generationConfig: this.#generationConfig };
  }

  #assertAlive(): void {
    if (!this.#destroyed) return;
    throw new GenerationError('GEN_DISPOSED', 'the model has been destroyed', { hint: 'load it again' });
  }
}

async function folderOf(path: string): Promise<ModelFiles> {
  const { folderFiles } = await import('./checkpoint/checkpointFolder.node.ts'); // in a page: withoutNode.ts
  return folderFiles(path);
}
