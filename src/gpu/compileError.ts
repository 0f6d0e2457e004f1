/** The WGSL compiler's errors, with file, line and column. */
import { KernelError } from '../errors.ts';
import type { KernelDeclaration } from './declaration.ts';

/** The error KERNEL_COMPILE for a message of the compiler. @param text the compiled text, to quote the faulty line */
export function compileError(
  declaration: KernelDeclaration,
  error: GPUCompilationMessage,
  text: string,
): KernelError {
  const { lineNum: line, linePos: column, message } = error;
  const source = text.split('\n')[line - 1]?.trim() ?? '';
  return new KernelError(
    'KERNEL_COMPILE',
    `${fileOf(declaration)}:${line}:${column} ${message.trim()} in \`${source}\``,
    { kernel: declaration.name, line, column },
  );
}

/** The file's name for messages, or the kernel's: bundlers turn small files into `data:` URLs, which have no file name. */
export function fileOf({ code, name }: KernelDeclaration): string {
  return typeof code === 'string' || code.protocol === 'data:'
    ? name
    : code.pathname.slice(code.pathname.lastIndexOf('/') + 1);
}
