/** Everything that comes before the GPU: options checked, messages rendered, positions found. */
import { GenerationError, InputError } from '../../errors.ts';
import type { PreparedInputs, Processor } from '../../processor/processor.ts';
import type { Message } from '../../processor/text/messages.ts';
import type { ModelParts } from '../graph/modelParts.ts';
import { type Positions, positionsFor } from '../graph/positions.ts';
import { type ResolvedControl, resolveControl } from './controlOptions.ts';
import type { GenerateOptions } from './generateOptions.ts';
import { throwIfAborted } from './generationStream.ts';
import {
  parseGenerationConfig,
  type ResolvedOptions,
  resolveGenerationOptions,
  type SamplingOptions,
} from './samplingOptions.ts';
import { StopStrings } from './stopStrings.ts';

/** What generation needs beyond the model's own parts. */
export interface GeneratingModel extends ModelParts {
  readonly processor: Processor;
  /** The bytes of generation_config.json, where there is one. */
  readonly generationConfig: Uint8Array | null;
}

/** A prompt, and all that its generation needs to know. */
export interface PreparedPrompt extends PreparedInputs {
  readonly positions: Positions;
  readonly context: number;
  /** Tokens that the answer may have at most. */
  readonly room: number;
  readonly endTokens: readonly number[];
  readonly choice: Omit<ResolvedOptions, 'maxNewTokens' | 'endTokens'>;
  readonly control: ResolvedControl;
  readonly stops: StopStrings;
  readonly prepareMs: number;
}

/** Everything that comes before the GPU: checks the options, renders the messages, and looks whether they fit. */
export async function preparePrompt(
  model: GeneratingModel,
  messages: readonly Message[],
  options: GenerateOptions,
): Promise<PreparedPrompt> {
  const { config, processor } = model;
  const { quirks = 'reference', signal } = options;
  const { maxNewTokens, endTokens, ...choice } = resolveGenerationOptions(
    options,
    config.llm,
    generationDefaults(model, options),
  );
  const control = resolveControl(options, choice, config.llm);
  const stops = new StopStrings(options.stop ?? []);
  throwIfAborted(signal);

  const startedAt = performance.now();
  const inputs = await processor.prepare(messages, options).catch((error) => {
    throwIfAborted(signal); // prepare throws the signal's own reason
    throw error;
  });
  throwIfAborted(signal);
  const { inputIds, images } = inputs;
  const { maxPositionEmbeddings, rope } = config.llm;
  const context = contextFor(inputIds.length, maxNewTokens, options.context, maxPositionEmbeddings);
  const room = Math.min(maxNewTokens, context - inputIds.length);
  const positions = positionsFor(rope, inputIds, images, positionTokens(model), quirks);
  const prepareMs = performance.now() - startedAt;
  return { ...inputs, positions, context, room, endTokens, choice, control, stops, prepareMs };
}

/** Parsed only when it is asked for: the published code ignores the file, so it may hold anything. */
function generationDefaults({ generationConfig, config }: GeneratingModel, { generation }: SamplingOptions) {
  return generation === 'checkpoint' && generationConfig
    ? parseGenerationConfig(generationConfig, config.llm)
    : null;
}

/** The ids and sizes that positions are recognised by. */
export function positionTokens({ config }: Pick<ModelParts, 'config'>) {
  const { imageStartToken, imagePatchToken } = config.llm;
  return { imageStartToken, imagePatchToken, spatialMergeSize: config.vision.spatialMergeSize };
}

function contextFor(
  promptTokens: number,
  maxNewTokens: number,
  asked: number | undefined,
  maxPositionEmbeddings: number,
): number {
  if (asked !== undefined) assertPositiveInteger('context', asked);
  const context = Math.min(asked ?? promptTokens + maxNewTokens, maxPositionEmbeddings);
  if (promptTokens < context) return context;
  throw new InputError(
    'INPUT_CONTEXT_OVERFLOW',
    `the prompt has ${promptTokens} tokens, the context ${context}: there is no room for an answer`,
    {
      field: 'messages',
      expected: context,
      actual: promptTokens,
      hint: `shorten the text, scale pictures down with maxPixels, or give a larger context (at most ${maxPositionEmbeddings})`,
    },
  );
}

export function assertPositiveInteger(field: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new GenerationError('GEN_RANGE', `${field} is ${value}`, {
    field,
    actual: value,
    hint: 'give a whole number of at least 1',
  });
}
