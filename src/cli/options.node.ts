/** Reads a command's flags. Errors are UsageErrors that name the flag. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** The command line is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

type FlagTypes = NonNullable<ParseArgsConfig['options']>;
type Parsed<Flags extends FlagTypes> = ReturnType<
  typeof parseArgs<{ options: Flags; allowPositionals: true }>
>;

/** @throws UsageError for an unknown flag, a missing value, or an unexpected value */
export function parseFlags<const Flags extends FlagTypes>(
  args: readonly string[],
  flags: Flags,
): Parsed<Flags> {
  try {
    return parseArgs({ args: [...args], options: flags, allowPositionals: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code?.startsWith('ERR_PARSE_ARGS') ? new UsageError(message.replace(/\.$/, '')) : error;
  }
}

/** The only argument besides the flags; undefined if there is none. @throws UsageError if there are several */
export function onlyPositional(positionals: readonly string[], what: string): string | undefined {
  if (positionals.length <= 1) return positionals[0];
  const extra = JSON.stringify(positionals[1]);
  throw new UsageError(`unexpected argument ${extra}; give one ${what}, in quotes if it contains spaces`);
}

/** @throws UsageError unless the value is missing or a whole number of at least 1 */
export function positiveInteger(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (/^\d+$/.test(value) && Number.isSafeInteger(number) && number >= 1) return number;
  throw new UsageError(`${flag} is ${JSON.stringify(value)}, expected a whole number of at least 1`);
}

/** @throws UsageError unless the value is missing or a number */
export function number(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (value.trim() !== '' && Number.isFinite(Number(value))) return Number(value);
  throw new UsageError(`${flag} is ${JSON.stringify(value)}, expected a number`);
}

/** @throws UsageError unless the value is missing or a whole number below 2^64 */
export function seed(flag: string, value: string | undefined): bigint | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,20}$/.test(value) && BigInt(value) < 2n ** 64n) return BigInt(value);
  throw new UsageError(`${flag} is ${JSON.stringify(value)}, expected a whole number below 2^64`);
}

/** @throws UsageError unless the value is missing or one of `choices` */
export function oneOf<const Choice extends string>(
  flag: string,
  value: string | undefined,
  choices: readonly Choice[],
): Choice | undefined {
  const choice = choices.find((known) => known === value);
  if (value === undefined || choice !== undefined) return choice;
  throw new UsageError(`${flag} is ${JSON.stringify(value)}, expected ${choices.join(' or ')}`);
}

/** @throws UsageError for an empty path, e.g. from an unset shell variable */
export function nonEmptyPath(what: string, path: string | undefined): string | undefined {
  if (path !== '') return path;
  throw new UsageError(`${what} is empty, expected a path`);
}
