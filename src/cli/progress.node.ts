/** What a command says on stderr while it works: lines that stay, and one that rewrites itself. */

export interface Progress {
  /** Writes a line that stays. */
  line(text: string): void;
  /** Rewrites the progress line; writes nothing where stderr is no terminal. */
  update(text: string): void;
  /** Takes the progress line away, before anything else is written to the terminal. */
  clear(): void;
}

const ERASE_LINE = '\r\x1b[2K';

/** @param quiet writes nothing at all */
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
      const width = Math.max(0, (stderr.columns || 80) - 1); // a longer line would wrap, and only its end be erased
      stderr.write(ERASE_LINE + text.slice(0, width));
      shown = true;
    },
    clear,
  };
}
