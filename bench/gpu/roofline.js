// The roofline plot of a run of gpu.js as SVG text: each operation against the adapter's peak rates.

// @ts-check
const WIDTH = 1120;
const HEIGHT = 720;
const PLOT = { left: 70, right: 1090, top: 60, bottom: 660 };
const ACCENT = '#c2410c';
const GREY = '#9aa3ad';
const INK = '#333';
const CHARACTER = 6.5; // average width at font size 11, in a wide font
const LINE = 13;
const CAPTION =
  'Dots: the fastest way to compute an operation, with GFLOP/s and share of the roof. Rings: the other ways.';

/**
 * @typedef {object} Point
 * @property {string} label
 * @property {number} intensity FLOP/byte
 * @property {number} gflopPerS
 * @property {boolean} isFastest whether it is the fastest way to compute its operation: only these have labels
 *
 * @typedef {{ left: number, right: number, top: number, bottom: number }} Box
 */

/**
 * Draws the plot. Both axes are logarithmic. A label is placed next to its point if there is room, otherwise at the nearest free
 * place, with a connecting line.
 *
 * @param {string} title
 * @param {import('m2-reasoning').AdapterRates | null} rates null if not measured
 * @param {readonly Point[]} points
 */
export function rooflineSvg(title, rates, points) {
  const parts = [
    text(PLOT.left, 20, title, 'font-size="15"'),
    text(PLOT.left, 36, rates ? CAPTION : 'The rates of the adapter were not measured.'),
  ];
  if (rates === null) return svg(title, parts);
  const { copyGbPerS, multiplyAddGflopPerS } = rates;
  const ridge = multiplyAddGflopPerS / copyGbPerS; // FLOP/byte where the roofs meet
  const intensities = [0.5, 2 * ridge, ...points.map(({ intensity }) => intensity)];
  const speeds = [copyGbPerS / 2, multiplyAddGflopPerS, ...points.map(({ gflopPerS }) => gflopPerS)];
  const x = logScale(intensities, PLOT.left, PLOT.right);
  const y = logScale(speeds, PLOT.bottom, PLOT.top);
  /** The y coordinate of the roof, in pixels. @param {number} left */
  const roofAt = (left) =>
    y.at(Math.max(y.min, Math.min(multiplyAddGflopPerS, copyGbPerS * x.valueAt(left))));
  for (const tick of x.ticks) {
    parts.push(line(x.at(tick), PLOT.top, x.at(tick), PLOT.bottom, '#eee'));
    parts.push(text(x.at(tick), PLOT.bottom + 16, number(tick), 'text-anchor="middle"'));
  }
  for (const tick of y.ticks) {
    parts.push(line(PLOT.left, y.at(tick), PLOT.right, y.at(tick), '#eee'));
    parts.push(text(PLOT.left - 6, y.at(tick) + 4, number(tick), 'text-anchor="end"'));
  }
  const corners = [Math.max(PLOT.left, x.at(y.min / copyGbPerS)), x.at(ridge), PLOT.right];
  const roof = corners.map((left) => `${round(left)},${round(roofAt(left))}`).join(' ');
  parts.push(`<polyline points="${roof}" fill="none" stroke="${INK}" stroke-width="1.5"/>`);
  parts.push(text(PLOT.left - 6, PLOT.top - 8, 'GFLOP/s', 'text-anchor="end"'));
  parts.push(text(PLOT.right, PLOT.bottom + 36, 'FLOP/byte', 'text-anchor="end"'));

  const placed = points.map((point) => ({
    ...point,
    left: x.at(point.intensity),
    top: y.at(point.gflopPerS),
  }));
  const [fastest, others] = [true, false].map((is) => placed.filter(({ isFastest }) => isFastest === is));
  for (const { left, top, label } of others)
    parts.push(dot(left, top, 3, `fill="white" stroke="${GREY}"`, label));
  for (const { left, top, label } of fastest) parts.push(dot(left, top, 4, `fill="${ACCENT}"`, label));
  /** The boxes that labels must avoid. */
  const taken = placed.map(({ left, top }) => ({
    left: left - 4,
    right: left + 4,
    top: top - 4,
    bottom: top + 4,
  }));
  const ceiling = `multiply-adds in f32: ${number(multiplyAddGflopPerS)} GFLOP/s`;
  const named = [
    { left: PLOT.right, top: roofAt(PLOT.right), label: ceiling, color: INK },
    { left: corners[0], top: roofAt(corners[0]), label: `copy: ${number(copyGbPerS)} GB/s`, color: INK },
    ...fastest.map((point) => ({ ...point, color: ACCENT })),
  ];
  for (const { left, top, label, color } of named) {
    const { box, isBefore } = placeLabel(left, top, label, (tried) => {
      const isBelowRoof = tried.top > roofAt(tried.left) + 2; // the roof rises to the right
      const isAboveRoof = tried.bottom < roofAt(tried.right) - 2;
      return (isBelowRoof || isAboveRoof) && !taken.some((other) => overlaps(tried, other));
    });
    taken.push(box);
    const [end, middle] = [isBefore ? box.right : box.left, (box.top + box.bottom) / 2];
    if (Math.hypot(end - left, middle - top) > 14) parts.push(line(left, top, end, middle, color, 0.5));
    parts.push(text(end, box.bottom - 3, label, isBefore ? 'text-anchor="end"' : ''));
  }
  return svg(title, parts);
}

/**
 * The nearest free place for a label to the right or to the left of a point.
 *
 * @param {number} left
 * @param {number} top
 * @param {string} label
 * @param {(box: Box) => boolean} isFree
 */
function placeLabel(left, top, label, isFree) {
  const width = CHARACTER * label.length;
  const places = [];
  for (let dx = 8; dx < 400; dx += 24) {
    for (let dy = -300; dy <= 300; dy += LINE / 2) {
      for (const isBefore of [false, true]) {
        const from = isBefore ? left - dx - width : left + dx;
        const box = {
          left: from,
          right: from + width,
          top: top + dy - LINE / 2,
          bottom: top + dy + LINE / 2,
        };
        const isInside =
          from > PLOT.left && box.right <= PLOT.right && box.top > PLOT.top && box.bottom < PLOT.bottom;
        if (isInside) places.push({ box, isBefore, distance: Math.hypot(dx, 1.5 * dy) });
      }
    }
  }
  places.sort((a, b) => a.distance - b.distance);
  return places.find(({ box }) => isFree(box)) ?? places[0];
}

/** @param {Box} a @param {Box} b */
function overlaps(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/** A logarithmic scale with a margin. @param {readonly number[]} values above 0 @param {number} from @param {number} to */
function logScale(values, from, to) {
  const first = Math.log10(Math.min(...values) / 1.5);
  const last = Math.log10(Math.max(...values) * 1.5);
  const powers = Array.from({ length: Math.ceil(last - first) + 1 }, (_, i) => Math.floor(first) + i);
  const ticks = powers.flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
  return {
    min: 10 ** first,
    ticks: ticks.filter((tick) => Math.log10(tick) >= first && Math.log10(tick) <= last),
    /** @param {number} value */
    at: (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from),
    /** @param {number} place */
    valueAt: (place) => 10 ** (first + ((place - from) / (to - from)) * (last - first)),
  };
}

/** @param {string} title @param {readonly string[]} parts */
function svg(title, parts) {
  const size = `width="${WIDTH}" height="${HEIGHT}"`;
  const style = `font-family="sans-serif" font-size="11" fill="${INK}"`;
  const open = `<svg xmlns="http://www.w3.org/2000/svg" ${size} viewBox="0 0 ${WIDTH} ${HEIGHT}" ${style}>`;
  const named = `<title>${escaped(title)}</title>`; // for screen readers
  return [open, named, `<rect ${size} fill="white"/>`, ...parts, '</svg>', ''].join('\n');
}

/** @param {number} x @param {number} y @param {string} content */
function text(x, y, content, attributes = '') {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escaped(content)}</text>`;
}

/** @param {number} x @param {number} y @param {number} radius @param {string} style @param {string} title */
function dot(x, y, radius, style, title) {
  return `<circle cx="${round(x)}" cy="${round(y)}" r="${radius}" ${style}><title>${escaped(title)}</title></circle>`;
}

/** @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 @param {string} color */
function line(x1, y1, x2, y2, color, width = 1) {
  const ends = `x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"`;
  return `<line ${ends} stroke="${color}" stroke-width="${width}"/>`;
}

/** @param {string} content */
function escaped(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** @param {number} value */
function round(value) {
  return Number(value.toFixed(1));
}

/** A number in three significant digits. @param {number} value */
function number(value) {
  return Number(value.toPrecision(3)).toLocaleString('en');
}
