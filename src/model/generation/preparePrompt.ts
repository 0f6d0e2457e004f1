/** The work before the GPU: checks options, renders messages, computes positions. */
import type { PreparedInputs, Processor } from '../../processor/processor.ts';
import type { Message } from '../../processor/text/messages.ts';
import type { ModelParts } from '../graph/modelParts.ts';
import { type Positions, positionsFor } from '../graph/positions.ts';
import { contextFor } from './contextFor.ts';
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

/** A model's parts as generation needs them. */
export interface GeneratingModel extends ModelParts {
  readonly processor: Processor;
  /** The bytes of generation_config.json; null if there is none. */
  readonly generationConfig: Uint8Array | null;
}

/** A prompt with everything that its generation needs. */
export interface PreparedPrompt extends PreparedInputs {
  readonly positions: Positions;
  readonly context: number;
  /** Maximum number of answer tokens. */
  readonly room: number;
  readonly endTokens: readonly number[];
  readonly choice: Omit<ResolvedOptions, 'maxNewTokens' | 'endTokens'>;
  readonly control: ResolvedControl;
  readonly stops: StopStrings;
  readonly prepareMs: number;
}

/**
 * Checks the options, renders the messages and checks that they fit the context.
 *
 * @throws GenerationError GEN_RANGE, GEN_ABORTED; InputError, ImageError, PromptError for the messages; ConfigError for
 *   generation_config.json
 */
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

/** Parses the file only for the preset 'checkpoint': the published code ignores it, so it may contain anything. */
function generationDefaults({ generationConfig, config }: GeneratingModel, { generation }: SamplingOptions) {
  return generation === 'checkpoint' && generationConfig
    ? parseGenerationConfig(generationConfig, config.llm)
    : null;
}

/** The parts of the config that `positionsFor` needs. */
export function positionTokens({ config }: Pick<ModelParts, 'config'>) {
  const { imageStartToken, imagePatchToken } = config.llm;
  return { imageStartToken, imagePatchToken, spatialMergeSize: config.vision.spatialMergeSize };
}
