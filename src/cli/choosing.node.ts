/** The flags that say how tokens are chosen: those of every command that asks a model, and those of `m2 generate` alone. */
import type { ControlOptions } from '../model/generation/controlOptions.ts';
import type { GenerateOptions } from '../model/generation/generateOptions.ts';
import type { SamplingOptions } from '../model/generation/samplingOptions.ts';
import { number, oneOf, positiveInteger, seed } from './options.node.ts';

export const CHOOSING_HELP = `  --max-new-tokens N        default 1024
  --preset NAME             greedy (default), model-page (sampling at 0.9), reference-default
                            (5 beams; not in a chat), or checkpoint (its
                            generation_config.json); single flags win
  --temperature T           any of these five asks for sampling, unless a preset is given:
  --top-k N                   0: off
  --top-p P                   1: off
  --min-p P                   0: off
  --seed N                  the same seed gives the same answer; default: a random one
  --repetition-penalty F    over prompt and answer; 1: off
  --stop TEXT               ends the answer where this text begins; may be given several times
  --prompt-lookup           guesses tokens from what followed the same words before, and verifies
                            several in one pass; not with sampling or penalties
  --steps-per-wait N        decode steps between two waits for the GPU, 1 to 64; default: as many
                            as take 20 ms. The answer is the same
`;

/** Of a search that has no stream, and of results that only a program reads: no part of a chat. */
export const SINGLE_ANSWER_HELP = `  --beams N                 beam search with N beams; default 1. The reference takes 5
  --logprobs N              with --json: the log-probability of each token, and of the N (0 to 20)
                            most likely ones in its place
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

/** @throws UsageError for a value that is no number or no preset; ranges are checked by the model itself */
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
