/** The flags of `m2 kernel check` and `m2 kernel bench`. */
import type { WeightDtype } from '../gpu/weightFormats.ts';
import { nonEmptyPath, number, oneOf, parseFlags, UsageError } from './options.node.ts';

/** A kernel to check or time. */
export interface Experiment {
  readonly action: 'check' | 'bench';
  /** A standard kernel, or a `.js` file that exports one. */
  readonly name: string;
  /** A `.wgsl` file that replaces its text. */
  readonly file: string | undefined;
  readonly constants: Readonly<Record<string, number>>;
  readonly sizes: Readonly<Record<string, number>>;
  readonly weightDtype: WeightDtype | undefined;
  readonly json: boolean;
}

/** An experiment, and how to run it. */
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

/** Reads the flags. @throws UsageError */
export function readExperiment(action: 'check' | 'bench', args: readonly string[]): ExperimentRun {
  const { values, positionals } = parseFlags(args, FLAGS);
  if (action === 'check' && (values.shape ?? values.dtype) !== undefined) {
    throw new UsageError('--shape and --dtype are for bench: check runs the cases that the kernel declares');
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

/** @returns one argument for each name @throws UsageError if one is missing or there are too many */
export function expectArguments(positionals: readonly string[], names: readonly string[]): readonly string[] {
  for (const [index, name] of names.entries()) nonEmptyPath(name, positionals[index]);
  if (positionals.length === names.length) return positionals;
  const missing = names[positionals.length];
  throw new UsageError(
    missing === undefined
      ? `unexpected argument ${JSON.stringify(positionals[names.length])}`
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
    if (!as) throw new UsageError('a .wgsl file needs --as NAME, the kernel that it replaces');
    return { name: as, file };
  }
  if (as !== undefined) throw new UsageError('--as is for check FILE.wgsl');
  if (isText) throw new UsageError('the kernel comes first: m2 kernel bench NAME FILE.wgsl');
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
