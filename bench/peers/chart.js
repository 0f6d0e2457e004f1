// Draws the measures of one run as an SVG bar chart.

// @ts-check
const WIDTH = 760;
const LABEL_WIDTH = 270;
const BAR_WIDTH = 300;
const ROW_HEIGHT = 22;
const MEASURE_HEIGHT = 52; // title and space around it
const OURS = '#2a6fb0';
const PEER = '#9aa5b1';

/**
 * @param {string} title
 * @param {readonly import('./run.js').Measure[]} measures
 */
export function chart(title, measures) {
  const parts = [text(16, 26, title, 'font-size="14" font-weight="bold"')];
  let y = 40;
  for (const { name, unit, rows } of measures) {
    const largest = Math.max(...rows.map(({ median }) => median ?? 0));
    parts.push(text(16, y + 26, `${name}, ${unit}`));
    y += MEASURE_HEIGHT - 14;
    for (const { engine, median, ratio, problem } of rows) {
      const middle = y + ROW_HEIGHT / 2 + 4;
      parts.push(text(LABEL_WIDTH - 8, middle, engine, 'text-anchor="end" font-size="12"'));
      if (median === undefined || ratio === undefined) {
        parts.push(
          text(LABEL_WIDTH, middle, shortened(problem ?? 'not timed'), 'font-size="12" fill="#a33"'),
        );
      } else {
        const width = Math.max(1, (BAR_WIDTH * median) / largest);
        const colour = engine.startsWith('m2-reasoning') ? OURS : PEER;
        parts.push(
          `<rect x="${LABEL_WIDTH}" y="${y + 3}" width="${width.toFixed(1)}" height="${ROW_HEIGHT - 6}" fill="${colour}"/>`,
          text(
            LABEL_WIDTH + width + 6,
            middle,
            `${digits(median)} (ratio ${ratio.median.toFixed(2)})`,
            'font-size="12"',
          ),
        );
      }
      y += ROW_HEIGHT;
    }
    y += 14;
  }
  parts.push(text(16, y + 18, "ratio: m2-reasoning's speed over the row's", 'font-size="12" fill="#555"'));
  const height = y + 34;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

/** @param {number} x @param {number} y @param {string} content */
function text(x, y, content, attributes = 'font-size="14"') {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped(content)}</text>`;
}

/** @param {string} content */
function escaped(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** @param {string} problem */
function shortened(problem) {
  return problem.length > 70 ? `${problem.slice(0, 69)}…` : problem;
}

/** Three significant digits. @param {number} value */
export function digits(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
