/** The flags of `m2 generate` that say how tokens are chosen. */
import type { SamplingOptions } from '../model/samplingOptions.ts';
import { number, oneOf, positiveInteger, seed } from './options.node.ts';

export const CHOOSING_HELP = `  --max-new-tokens N        default 1024
  --preset NAME             greedy (default), model-page (sampling at 0.9), reference-default
                            (5 beams), or checkpoint (its generation_config.json); single flags win
  --temperature T           any of these five asks for sampling, unless a preset is given:
  --top-k N                   0: off
  --top-p P                   1: off
  --min-p P                   0: off
  --seed N                  the same seed gives the same answer; default: a random one
  --repetition-penalty F    over prompt and answer; 1: off
  --beams N                 beam search with N beams; default 1. The reference takes 5
  --stop TEXT               ends the answer where this text begins; may be given several times
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
  beams: { type: 'string' },
  stop: { type: 'string', multiple: true },
} as const;

type ChoosingValues = { readonly [K in keyof typeof CHOOSING_FLAGS]?: string | string[] };

/** @throws UsageError for a value that is no number or no preset; ranges are checked by `generate` itself */
export function choosingOptions(values: ChoosingValues): SamplingOptions & { stop?: readonly string[] } {
  const text = (flag: Exclude<keyof ChoosingValues, 'stop'>) => values[flag] as string | undefined;
  return {
    generation: oneOf('--preset', text('preset'), [
      'greedy',
      'model-page',
      'reference-default',
      'checkpoint',
    ]),
    maxNewTokens: positiveInteger('--max-new-tokens', text('max-new-tokens')),
    temperature: number('--temperature', text('temperature')),
    topK: number('--top-k', text('top-k')),
    topP: number('--top-p', text('top-p')),
    minP: number('--min-p', text('min-p')),
    seed: seed('--seed', text('seed')),
    repetitionPenalty: number('--repetition-penalty', text('repetition-penalty')),
    numBeams: positiveInteger('--beams', text('beams')),
    stop: values.stop as string[] | undefined,
  };
}
