/** The flags for choosing tokens: those of all commands that ask a model, and those of `m2 generate` only. */
import type { ControlOptions } from '../model/generation/controlOptions.ts';
import type { GenerateOptions } from '../model/generation/generateOptions.ts';
import type { SamplingOptions } from '../model/generation/samplingOptions.ts';
import { number, oneOf, positiveInteger, seed } from './options.node.ts';

export const CHOOSING_HELP = `  --max-new-tokens N        default 1024
  --preset NAME             greedy (default), model-page (sampling at temperature 0.9),
                            reference-default (5 beams; not in a chat), or checkpoint (its
                            generation_config.json); other flags override the preset
  --temperature T           each of these five turns on sampling, unless a preset is given:
  --top-k N                   0: off
  --top-p P                   1: off
  --min-p P                   0: off
  --seed N                  the same seed gives the same answer; default: a random one
  --repetition-penalty F    for tokens in prompt and answer; 1: off
  --stop TEXT               ends the answer where this text begins; may be given several times
  --prompt-lookup           guesses tokens from earlier occurrences of the last few, and verifies
                            several in one pass; not with sampling or penalties
  --steps-per-wait N        decode steps between two waits for the GPU, 1 to 64; default: as many
                            as take 20 ms. Does not change the answer
`;

/** Flags that a chat does not have: beam search needs a cache per beam, and log-probabilities are for programs. */
export const SINGLE_ANSWER_HELP = `  --beams N                 beam search with N beams; default 1. The reference uses 5
  --logprobs N              with --json: the log-probabilities of each token and of the N (0 to
                            20) most likely tokens in its place
`;

export const CHOOSING_FLAGS = {
  'max-new-tokens': { type: 'string' },
  preset: { type: 'string' },
  temperature: { type: 'string' },
  'top-k': { type: 'string' },
  'top-p': { type: 'string' },
  'min-p': { type: 'string' },
  seed: { type: 'string' },
  'repetition-penalty': { type: 'string' },
  stop: { type: 'string', multiple: true },
  'prompt-lookup': { type: 'boolean' },
  'steps-per-wait': { type: 'string' },
} as const;

export const SINGLE_ANSWER_FLAGS = { beams: { type: 'string' }, logprobs: { type: 'string' } } as const;

type Flag = keyof typeof CHOOSING_FLAGS | keyof typeof SINGLE_ANSWER_FLAGS;
type TextFlag = Exclude<Flag, 'stop' | 'prompt-lookup'>;
interface ChoosingValues extends Readonly<Partial<Record<TextFlag, string>>> {
  readonly stop?: readonly string[];
  readonly 'prompt-lookup'?: boolean;
}

/** @throws UsageError for a value that is not a number or not a preset; the model itself checks ranges */
export function choosingOptions(
  values: ChoosingValues,
): SamplingOptions & ControlOptions & Pick<GenerateOptions, 'stop'> {
  const presets = ['greedy', 'model-page', 'reference-default', 'checkpoint'] as const;
  return {
    generation: oneOf('--preset', values.preset, presets),
    maxNewTokens: positiveInteger('--max-new-tokens', values['max-new-tokens']),
    temperature: number('--temperature', values.temperature),
    topK: number('--top-k', values['top-k']),
    topP: number('--top-p', values['top-p']),
    minP: number('--min-p', values['min-p']),
    seed: seed('--seed', values.seed),
    repetitionPenalty: number('--repetition-penalty', values['repetition-penalty']),
    numBeams: positiveInteger('--beams', values.beams),
    stop: values.stop,
    logprobs: number('--logprobs', values.logprobs),
    promptLookup: values['prompt-lookup'],
    stepsPerWait: positiveInteger('--steps-per-wait', values['steps-per-wait']),
  };
}
