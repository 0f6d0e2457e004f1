/** The output of `m2 kernel`: contracts, check reports, times. */

import type { Binding, KernelDeclaration } from '../gpu/declaration.ts';
import type { BenchRow } from '../gpu/measure/benchKernel.ts';
import type { CheckRow } from '../gpu/measure/checkKernel.ts';
import type { Dim } from '../gpu/shapes.ts';
import { parseWgsl } from '../gpu/wgslInterface.ts';
import { columns } from './text.ts';

/** A kernel's entry in the list. @param text its WGSL text */
export function listText(declaration: KernelDeclaration, text: string): string {
  const { name, bindings, constants = {} } = declaration;
  const shapes = Object.entries(bindings).map(([binding, declared]) => `${binding} ${typeText(declared)}`);
  const { features } = parseWgsl(text);
  const needs = features.length > 0 ? `   (needs ${features.join(', ')})` : '';
  return `${name}   ${formulaOf(text)}${needs}\n    ${shapes.join(', ')}\n    ${assignments(constants)}\n`;
}

/** The contract that a replacement of the kernel must keep. */
export function contractText(declaration: KernelDeclaration): string {
  const { bindings, params = {}, constants = {}, dispatch, cases, tolerance } = declaration;
  const rows = Object.entries(bindings).map(([binding, declared], index) => [
    index === 0 ? 'bindings' : '',
    `@binding(${index})`,
    binding,
    typeText(declared),
  ]);
  const lines = [
    ['params', assignments(params, ': ') || 'none; Params may also have sizes of the shapes'],
    ['constants', assignments(constants)],
    ['dispatch', String(dispatch).replace(/\s+/g, ' ')],
    ['tolerance', `${tolerance.abs} + ${tolerance.rel} · max|expected|: ${tolerance.reason}`],
    ...cases.map(({ name, sizes }, index) => [
      index === 0 ? 'cases' : '',
      `${name}: ${assignments(sizes, ' ')}`,
    ]),
  ];
  return `${columns(rows)}${columns(lines)}`;
}

/** The first line of the formula in a WGSL file's header, i.e. the first indented comment. */
export function formulaOf(text: string): string {
  return text.match(/^\/\/ {3,}(\S.*)$/m)?.[1] ?? '';
}

export function checkTable(rows: readonly CheckRow[]): string {
  const head = [
    ...['case', 'output', 'max abs', 'max rel', 'bound', 'worst at', 'expected', 'actual', 'verdict'],
  ];
  const cells = rows.map((row) => [
    row.case,
    row.output,
    short(row.maxAbs),
    short(row.maxRel),
    short(row.bound),
    row.worstAt,
    short(row.expected, 7),
    short(row.actual, 7),
    row.verdict,
  ]);
  return columns([head, ...cells], [2, 3, 4, 5, 6, 7]);
}

export function benchTable(rows: readonly BenchRow[]): string {
  const head = [
    ...['kernel', 'case', 'weights', 'µs', 'GB/s', 'GFLOP/s', '× baseline', 'of copy', 'of f32', 'verdict'],
  ];
  const cells = rows.map((row) => [
    row.kernel,
    row.case,
    row.weightDtype ?? '',
    short(row.usPerCall),
    short(row.gbPerS),
    short(row.gflopPerS),
    short(row.timesBaseline),
    percent(row.shareOfCopy),
    percent(row.shareOfMultiplyAdd),
    row.verdict,
  ]);
  return columns([head, ...cells], [3, 4, 5, 6, 7, 8]);
}

function typeText({ access, dtype, shape }: Binding): string {
  const how = { read: '', weights: '', write: ' (written)', readWrite: ' (in place)' }[access];
  return `[${shape.map(dimText).join(', ')}] ${dtype}${how}`;
}

/** A computed axis is shown as its source code. */
function dimText(dim: Dim): string {
  return typeof dim === 'function' ? String(dim).replace(/^[\s\S]*?=>\s*/, '') : String(dim);
}

function assignments(values: Readonly<Record<string, number | string>>, between = ' '): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}${between}${value}`)
    .join(', ');
}

/** A number in three significant digits, or in `digits`; `-` if it was not measured. */
function short(value: number | null, digits = 3): string {
  if (value === null || Number.isNaN(value)) return value === null ? '-' : 'NaN';
  return Math.abs(value) >= 1000 && Math.abs(value) < 1e7
    ? String(Math.round(value))
    : String(Number(value.toPrecision(digits)));
}

function percent(share: number | null): string {
  return share === null ? '-' : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}
