/** A command's messages on stderr: permanent lines, and one progress line that is rewritten. */

export interface Progress {
  /** Writes a permanent line. */
  line(text: string): void;
  /** Rewrites the progress line, if stderr is a terminal. */
  update(text: string): void;
  /** Erases the progress line. Call it before anything else is written to the terminal. */
  clear(): void;
}

const ERASE_LINE = '\r\x1b[2K';

/** @param quiet write nothing at all */
export function openProgress(
  quiet: boolean,
  stderr: Pick<typeof process.stderr, 'isTTY' | 'columns' | 'write'> = process.stderr,
): Progress {
  const rewrites = stderr.isTTY === true && !quiet;
  let shown = false;
  const clear = () => {
    if (shown) stderr.write(ERASE_LINE);
    shown = false;
  };
  return {
    line(text) {
      clear();
      if (!quiet) stderr.write(`${text}\n`);
    },
    update(text) {
      if (!rewrites) return;
      const width = Math.max(0, (stderr.columns || 80) - 1); // a longer line would wrap and could not be erased
      stderr.write(ERASE_LINE + text.slice(0, width));
      shown = true;
    },
    clear,
  };
}
