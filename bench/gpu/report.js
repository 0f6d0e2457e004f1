// The files of a run of gpu.js: <part>.json, and summary.md and roofline.svg, which are made from them.

// @ts-check
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rooflineSvg } from './roofline.js';

/**
 * @typedef {Record<string, string | number | boolean | null>} Row
 *
 * @typedef {object} PartResult
 * @property {string} part
 * @property {'running' | 'done' | 'failed'} status
 * @property {string} date
 * @property {string} adapter
 * @property {number} seconds
 * @property {string[]} problems the reasons why it failed
 * @property {string[]} notes e.g. what was left out
 * @property {Row[]} rows
 */

/** @param {string} folder @param {string} part @returns {PartResult | null} null if it has not run */
export function readPart(folder, part) {
  try {
    return JSON.parse(readFileSync(join(folder, `${part}.json`), 'utf8'));
  } catch {
    return null;
  }
}

/** Writes the file atomically, because a part may be killed at any time. @param {string} folder @param {PartResult} result */
export function writePart(folder, result) {
  const path = join(folder, `${result.part}.json`);
  writeFileSync(`${path}.new`, `${JSON.stringify(result, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

/** @param {string} folder @param {readonly string[]} parts */
export function writeReport(folder, parts) {
  const results = parts.flatMap((part) => readPart(folder, part) ?? []);
  writeFileSync(join(folder, 'summary.md'), summary(results));
  const rows = results.flatMap((result) => result.rows);
  const rates = rows.find((row) => 'copyGbPerS' in row);
  const { adapter = '', date } = results.find((result) => result.adapter !== '') ?? results[0];
  const title = `${adapter.replace(/ \(.*/, '')}, ${date}`;
  writeFileSync(
    join(folder, 'roofline.svg'),
    rooflineSvg(title, /** @type {any} */ (rates ?? null), pointsOf(rows)),
  );
}

/** @param {readonly Row[]} rows @returns {import('./roofline.js').Point[]} */
function pointsOf(rows) {
  const timed = /** @type {any[]} */ (rows.filter((row) => row.operation && row.gflopPerS));
  return timed.map(({ operation, bytes, flops, gflopPerS, ofRoof }) => ({
    label: `${operation}: ${short(gflopPerS)} (${percent(ofRoof)})`,
    intensity: flops / bytes,
    gflopPerS,
    isFastest: timed.every((other) => other.operation !== operation || other.gflopPerS <= gflopPerS),
  }));
}

/** @param {readonly PartResult[]} results */
function summary(results) {
  const rows = /** @type {any[]} */ (results.flatMap((result) => result.rows));
  const parts = results.map(({ part, status, seconds, problems, notes, rows: { length } }) => {
    return [part, status, length, seconds.toFixed(0), [...problems, ...notes].join('; ')];
  });
  const rates = rows.filter((row) => 'copyGbPerS' in row);
  const operations = [...new Set(rows.flatMap((row) => row.operation ?? []))].map((operation) => {
    const timed = rows.filter((row) => row.operation === operation);
    const fastest = timed.reduce((best, row) => (row.usPerCall < best.usPerCall ? row : best));
    const { way, usPerCall, gbPerS, gflopPerS, ofCopy, ofMultiplyAdd, timesPlain } = fastest;
    const speeds = [short(gbPerS), percent(ofCopy), short(gflopPerS), percent(ofMultiplyAdd)];
    return [operation, way, short(usPerCall), ...speeds, short(timesPlain)];
  });
  const models = rows
    .filter((row) => row.model && row.layers > 1)
    .map((row) => [
      `${row.model}, ${row.variant}`,
      row.extrapolated ? `${row.layers}, extrapolated` : row.layers,
      `${short(row.prefillTokensPerS)} (${row.promptTokens})`,
      percent(row.prefillOfMultiplyAdd),
      short(row.decodeTokensPerS),
      percent(row.decodeOfBound),
    ]);
  return `${[
    `# ${results.map(({ adapter }) => adapter).find(Boolean) ?? 'no adapter'}`,
    table(['part', 'result', 'rows', 's', 'problems and notes'], parts),
    ...rates.map(
      ({ copyGbPerS, multiplyAddGflopPerS, usPerDispatch }) =>
        `Copy ${short(copyGbPerS)} GB/s, multiply-adds in f32 ${short(multiplyAddGflopPerS)} GFLOP/s, ` +
        `${short(usPerDispatch)} µs for a dispatch that waits for the previous one.`,
    ),
    table(['operation', 'fastest', 'µs', 'GB/s', 'of copy', 'GFLOP/s', 'of f32', '× plain'], operations),
    table(
      ['model', 'layers', 'prefill tokens/s (tokens)', 'of f32', 'decode tokens/s', 'of the bandwidth bound'],
      models,
    ),
  ]
    .filter(Boolean)
    .join('\n\n')}\n`;
}

/** @param {readonly string[]} head @param {readonly (readonly unknown[])[]} rows @returns {string} empty without rows */
function table(head, rows) {
  if (rows.length === 0) return '';
  const line = (/** @type {readonly unknown[]} */ cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A number in three significant digits; `-` if there is none. @param {unknown} value */
export function short(value) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '-';
  return value !== 0 && Math.abs(value) < 1e-3
    ? value.toExponential(1)
    : String(Number(value.toPrecision(3)));
}

/** @param {unknown} share of 1 */
export function percent(share) {
  return typeof share === 'number' && Number.isFinite(share)
    ? `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`
    : '-';
}
