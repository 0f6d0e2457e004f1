/** A roofline plot as SVG text: every kernel against the adapter's peak rates. */
import type { AdapterRates } from '../gpu/measure/measureAdapter.ts';
import type { ProfileRow } from '../gpu/measure/profilePass.ts';

/** The kernels of one profile. */
export interface RooflineSeries {
  readonly name: string;
  readonly rows: readonly ProfileRow[];
}

const COLORS = ['#1f6fb2', '#c8501e', '#3a8a3a', '#8a3a8a'];
const WIDTH = 1040;
const TOP = 60;
const LINE = 17; // line height of the legend
const STRIP = { left: 70, right: 150 }; // for kernels without FLOPs
const PLOT = { left: 180, right: 660 };
const LEGEND_LEFT = 690;

/**
 * Draws the plot. Both axes are logarithmic. A kernel is drawn at its FLOP/byte and GFLOP/s, under the lower of two roofs: the
 * copy rate times FLOP/byte, and the multiply-add rate. Kernels without FLOPs are drawn in a separate strip by their GB/s, under
 * the copy rate. A circle's area is the kernel's share of the time. A kernel without measured time appears only in the legend.
 */
export function rooflineSvg(title: string, series: readonly RooflineSeries[], rates: AdapterRates): string {
  const { copyGbPerS, multiplyAddGflopPerS } = rates;
  const rows = series.flatMap((one) => one.rows);
  const ridge = multiplyAddGflopPerS / copyGbPerS; // FLOP/byte where the roofs meet
  const intensities = rows.flatMap((row) => (row.gflopPerS ? [intensityOf(row)] : []));
  const speeds = rows.flatMap((row) => heightOf(row) ?? []);
  const bottom = TOP + Math.max(400, LINE * (rows.length + 2 * series.length));
  const x = logScale([ridge, ...intensities], PLOT.left, PLOT.right);
  const y = logScale([copyGbPerS, multiplyAddGflopPerS, ...speeds], bottom, TOP);

  const roofAtLeft = Math.min(multiplyAddGflopPerS, copyGbPerS * x.min);
  const roof = [
    [PLOT.left, y.at(Math.max(roofAtLeft, y.min))],
    [x.at(Math.max(x.min, y.min / copyGbPerS)), y.at(Math.max(roofAtLeft, y.min))],
    [x.at(ridge), y.at(multiplyAddGflopPerS)],
    [PLOT.right, y.at(multiplyAddGflopPerS)],
  ];
  const parts = [
    text(PLOT.left, 24, title, 'font-size="15"'),
    text(STRIP.left, 46, 'GB/s, no FLOPs'),
    text(PLOT.left, 46, 'GFLOP/s'),
    text((PLOT.left + PLOT.right) / 2, bottom + 38, 'FLOP/byte', 'text-anchor="middle"'),
    ...[STRIP, PLOT].map(
      ({ left, right }) =>
        `<rect x="${left}" y="${TOP}" width="${right - left}" height="${bottom - TOP}" fill="none" stroke="#999"/>`,
    ),
    ...x.ticks.flatMap((tick) => [
      line(x.at(tick), TOP, x.at(tick), bottom, '#e4e4e4'),
      text(x.at(tick), bottom + 18, String(tick), 'text-anchor="middle"'),
    ]),
    ...y.ticks.flatMap((tick) => [
      line(STRIP.left, y.at(tick), STRIP.right, y.at(tick), '#e4e4e4'),
      line(PLOT.left, y.at(tick), PLOT.right, y.at(tick), '#e4e4e4'),
      text(STRIP.left - 6, y.at(tick) + 4, String(tick), 'text-anchor="end"'),
    ]),
    `<polyline points="${roof.map((point) => point.map(round).join()).join(' ')}" fill="none" stroke="#444" stroke-width="2"/>`,
    line(STRIP.left, y.at(copyGbPerS), STRIP.right, y.at(copyGbPerS), '#444', 2),
    text(
      PLOT.right - 6,
      y.at(multiplyAddGflopPerS) - 6,
      `multiply-adds: ${short(multiplyAddGflopPerS)} GFLOP/s`,
      'text-anchor="end"',
    ),
    text(STRIP.left + 4, y.at(copyGbPerS) - 6, `copy: ${short(copyGbPerS)}`),
  ];

  let number = 0;
  let legendY = TOP + 8;
  for (const [i, { name, rows: own }] of series.entries()) {
    const color = COLORS[i % COLORS.length];
    parts.push(text(LEGEND_LEFT, legendY, name, `font-weight="bold" fill="${color}"`));
    for (const row of own) {
      number++;
      legendY += LINE;
      const label = `${number} ${row.kernel}: ${(100 * row.share).toFixed(1)} %, ${short(row.gbPerS)} GB/s, ${short(row.gflopPerS)} GFLOP/s`;
      parts.push(text(LEGEND_LEFT, legendY, label));
      const height = heightOf(row);
      if (height === null) continue;
      const left = row.gflopPerS ? x.at(intensityOf(row)) : (STRIP.left + STRIP.right) / 2;
      const radius = 3 + 22 * Math.sqrt(row.share);
      parts.push(
        `<circle cx="${round(left)}" cy="${round(y.at(height))}" r="${round(radius)}" fill="${color}" fill-opacity="0.35" stroke="${color}"><title>${escapeXml(`${name}, ${label}`)}</title></circle>`,
        text(left, y.at(height) + 4, String(number), 'text-anchor="middle" font-size="10"'),
      );
    }
    legendY += 2 * LINE;
  }
  const height = bottom + 56;
  const open = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`;
  return [open, `<rect width="${WIDTH}" height="${height}" fill="white"/>`, ...parts, '</svg>\n'].join('\n');
}

function intensityOf({ flops, bytes }: ProfileRow): number {
  return (flops ?? 0) / bytes;
}

/** The value on the y axis; null if there is nothing to draw. */
function heightOf({ gflopPerS, gbPerS }: ProfileRow): number | null {
  return gflopPerS || gbPerS || null;
}

interface LogScale {
  readonly min: number;
  /** Powers of ten. */
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** A scale of whole decades around `values`, which must be above 0. */
function logScale(values: readonly number[], from: number, to: number): LogScale {
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))));
  return {
    min: 10 ** first,
    ticks: Array.from({ length: last - first + 1 }, (_, i) => Number(`1e${first + i}`)),
    at: (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from),
  };
}

function line(x1: number, y1: number, x2: number, y2: number, color: string, width = 1): string {
  const ends = `x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"`;
  return `<line ${ends} stroke="${color}" stroke-width="${width}"/>`;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escapeXml(content)}</text>`;
}

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function round(value: number): number {
  return Number(value.toFixed(1));
}

/** A number in three significant digits; `-` if it was not measured. */
export function short(value: number | null): string {
  return value === null ? '-' : String(Number(value.toPrecision(3)));
}
