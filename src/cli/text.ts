/** Plain text output: aligned columns, sizes, one-line messages. */

/**
 * Lays rows out in columns, two spaces apart.
 *
 * @param rightAligned indices of right-aligned columns
 * @returns lines, each ending in a newline
 */
export function columns(
  rows: readonly (readonly string[])[],
  rightAligned: readonly number[] = [],
  indent = '',
): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const lines = rows.map((row) => {
    const cells = row.map((cell, i) =>
      rightAligned.includes(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i]),
    );
    return `${(indent + cells.join('  ')).trimEnd()}\n`;
  });
  return lines.join('');
}

/** @returns e.g. `412 B`, `7.2 MiB`, `15.5 GiB` */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** @returns e.g. `0.05 s` */
export function formatSeconds(elapsedMs: number): string {
  return `${(elapsedMs / 1000).toFixed(2)} s`;
}

/** @returns `text` without newlines and other control characters, which file names and tensor names may contain */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
}
