/** The flags of `m2 kernel check` and `m2 kernel bench`. */
import type { WeightDtype } from '../gpu/weightFormats.ts';
import { nonEmptyPath, number, oneOf, parseFlags, UsageError } from './options.node.ts';

/** What is to be checked or timed. */
export interface Experiment {
  readonly action: 'check' | 'bench';
  /** A standard kernel, or a `.js` file that exports one. */
  readonly name: string;
  /** A `.wgsl` file that takes the place of its text. */
  readonly file: string | undefined;
  readonly constants: Readonly<Record<string, number>>;
  readonly sizes: Readonly<Record<string, number>>;
  readonly weightDtype: WeightDtype | undefined;
  readonly json: boolean;
}

/** An experiment, and how it is run. */
export interface ExperimentRun {
  readonly experiment: Experiment;
  readonly inProcess: boolean;
  readonly watch: boolean;
  readonly timeoutS: number;
}

const FLAGS = {
  as: { type: 'string' },
  constants: { type: 'string' },
  shape: { type: 'string' },
  dtype: { type: 'string' },
  'timeout-s': { type: 'string' },
  watch: { type: 'boolean' },
  'in-process': { type: 'boolean' },
  json: { type: 'boolean' },
} as const;
const DEADLINES_S = { check: 60, bench: 300 };

/** @throws UsageError */
export function readExperiment(action: 'check' | 'bench', args: readonly string[]): ExperimentRun {
  const { values, positionals } = parseFlags(args, FLAGS);
  if (action === 'check' && (values.shape ?? values.dtype) !== undefined) {
    throw new UsageError(
      '--shape and --dtype belong to bench: a check runs the cases that the kernel declares',
    );
  }
  const timeoutS = number('--timeout-s', values['timeout-s']) ?? DEADLINES_S[action];
  if (timeoutS <= 0) throw new UsageError(`--timeout-s is ${timeoutS}, expected a number above 0`);
  return {
    experiment: {
      action,
      ...readTarget(action, positionals, values.as),
      constants: numbersByName('--constants', values.constants),
      sizes: numbersByName('--shape', values.shape),
      weightDtype: oneOf('--dtype', values.dtype, ['f32', 'bf16', 'f16']),
      json: values.json ?? false,
    },
    inProcess: values['in-process'] ?? false,
    watch: values.watch ?? false,
    timeoutS,
  };
}

/** @returns as many arguments as `names` has. @throws UsageError when one is missing or too many */
export function expectArguments(positionals: readonly string[], names: readonly string[]): readonly string[] {
  for (const [index, name] of names.entries()) nonEmptyPath(name, positionals[index]);
  if (positionals.length === names.length) return positionals;
  const missing = names[positionals.length];
  throw new UsageError(
    missing === undefined
      ? `${JSON.stringify(positionals[names.length])} is one argument too many`
      : `${missing} is missing`,
  );
}

function readTarget(
  action: string,
  positionals: readonly string[],
  as: string | undefined,
): { name: string; file: string | undefined } {
  const isText = positionals[0]?.endsWith('.wgsl');
  if (action === 'check' && isText) {
    const [file] = expectArguments(positionals, ['FILE.wgsl']);
    if (!as) throw new UsageError('a .wgsl file needs --as NAME: the kernel whose place it takes');
    return { name: as, file };
  }
  if (as !== undefined) throw new UsageError('--as belongs to check FILE.wgsl');
  if (isText) throw new UsageError('the kernel stands first: m2 kernel bench NAME FILE.wgsl');
  const withFile = action === 'bench' && positionals.length > 1;
  const [name, file] = expectArguments(positionals, withFile ? ['NAME', 'FILE.wgsl'] : ['NAME']);
  return { name, file };
}

/** Reads `A=1,B=2`. */
function numbersByName(flag: string, value: string | undefined): Record<string, number> {
  if (value === undefined) return {};
  return Object.fromEntries(
    value.split(',').map((pair) => {
      const [, name, digits] = pair.match(/^\s*(\w+)\s*=\s*(\S+)\s*$/) ?? [];
      if (name === undefined || !Number.isFinite(Number(digits))) {
        throw new UsageError(`${flag}: ${JSON.stringify(pair)} is not NAME=NUMBER, as in A=1,B=2`);
      }
      return [name, Number(digits)];
    }),
  );
}
