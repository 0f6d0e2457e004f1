/** The sources of kernels: the standard set, a `.js` file, or a `.wgsl` file that replaces a kernel's text. */
import { readFile } from 'node:fs/promises';
import { basename, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { InputError, KernelError } from '../errors.ts';
import type { Constants, KernelDeclaration } from '../gpu/declaration.ts';
import type { Kernel } from '../gpu/kernel.ts';
import { kernels } from '../kernels/kernelSet.ts';
import { UsageError } from './options.node.ts';

/** A standard kernel. @throws UsageError if there is no such kernel */
export function standardKernel(name: string): Kernel {
  const known: Readonly<Record<string, unknown>> = kernels;
  if (Object.hasOwn(known, name)) return known[name] as Kernel;
  throw new UsageError(`there is no kernel ${name}, expected one of ${Object.keys(known).join(', ')}`);
}

/** A standard kernel, or the one that a `.js` file exports. @throws UsageError; InputError INPUT_FILE */
export async function namedKernel(name: string): Promise<Kernel> {
  if (!/\.m?js$/.test(name)) return standardKernel(name);
  let exported: unknown[];
  try {
    exported = Object.values(await import(pathToFileURL(resolve(name)).href));
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const hint = message.includes("'m2-reasoning'") ? 'install m2-reasoning in its folder' : undefined;
    const reason = code === 'ERR_MODULE_NOT_FOUND' ? message.split('\n')[0] : message;
    throw new InputError('INPUT_FILE', `${name} can't be loaded (${reason})`, {
      file: name,
      cause,
      hint,
    });
  }
  const found = exported.filter((value) => typeof value === 'function' && 'declaration' in value);
  if (found.length === 1) return found[0] as unknown as Kernel;
  throw new InputError('INPUT_FILE', `${name} exports ${found.length} kernels`, {
    file: name,
    hint: 'export one result of defineKernel',
  });
}

/** `kernel` with the given constants and, if there is a file, its text. @throws InputError INPUT_FILE */
export async function changedKernel(
  kernel: Kernel,
  file: string | undefined,
  constants: Constants,
): Promise<Kernel> {
  if (file === undefined) return Object.keys(constants).length ? kernel.variant({ constants }) : kernel;
  await readFile(file).catch((cause) => {
    throw new InputError('INPUT_FILE', `${file} can't be read (${cause.message})`, { file, cause });
  });
  const name = `${kernel.declaration.name}/${basename(file, '.wgsl')}`;
  return kernel.variant({ name, code: pathToFileURL(resolve(file)), constants });
}

/** The kernel's own text, without its helpers. */
export async function ownText({ code }: Pick<KernelDeclaration, 'code'>): Promise<string> {
  return typeof code === 'string' ? code : readFile(code, 'utf8');
}

/** The path of the kernel's text, relative to the current folder if that is shorter; the kernel's name if it has no file. */
export function fileOf({ name, code }: Pick<KernelDeclaration, 'name' | 'code'>): string {
  return typeof code === 'string' ? name : shortPath(fileURLToPath(code));
}

/** For an error of the WGSL compiler: `file:line:column`, the line, and a caret below the column; '' for other errors. */
export async function quoteError(
  error: unknown,
  declarations: readonly KernelDeclaration[],
): Promise<string> {
  if (!(error instanceof KernelError) || error.details.line === undefined) return '';
  const { kernel, column = 1 } = error.details;
  const declaration = declarations.find(({ name }) => name === kernel);
  if (declaration === undefined) return '';
  let { line } = error.details;
  for (const code of [declaration.code, ...(declaration.helpers ?? [])]) {
    const lines = (await ownText({ code })).split('\n');
    if (line <= lines.length) {
      const source = lines[line - 1];
      const indent = source.slice(0, column - 1).replace(/[^\t]/g, ' ');
      return `${fileOf({ name: declaration.name, code })}:${line}:${column}\n${source}\n${indent}^\n`;
    }
    line -= lines.length; // the compiler sees the helpers after the kernel's own text
  }
  return '';
}

function shortPath(path: string): string {
  const short = relative('', path);
  return short.length < path.length ? short : path;
}
