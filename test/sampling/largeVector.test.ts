/** Logits of the 7B's vocabulary size from a formula; fixtures/sampling/makeLargeVector.py gives the tokens that transformers keeps. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sharedGpu } from '../sharedGpu.ts';
import { drawOnGpu, edgesOf } from './drawOnGpu.ts';
import { OFF, processLogits } from './processLogits.ts';

interface Row {
  options: Partial<typeof OFF>;
  inputIds: number[];
  keptCount: number;
  /** Probabilities of the kept tokens; if all are kept, of every thousandth. */
  ids: number[];
  probabilities: number[];
}
const file = new URL('../fixtures/sampling/largeVector.jsonl', import.meta.url);
const [, ...rows] = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line)) as Row[];

const gpu = await sharedGpu();

/** fround(30 r^15), r in [-1, 1) from MurmurHash3's finalizer, as in makeLargeVector.py. */
function logitsOfFormula(): Float32Array {
  return Float32Array.from({ length: 152_064 }, (_, id) => {
    let x = Math.imul(id + 1, 0x9e3779b9);
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x ^= x >>> 16;
    const r = (x >>> 8) * 2 ** -23 - 1;
    const cubed = r * r * r;
    return 30 * (cubed * cubed * cubed * cubed * cubed);
  });
}

describe(`152,064 logits on ${gpu.description}`, () => {
  const logits = logitsOfFormula();

  it.each(rows.map((row) => ({ row, name: JSON.stringify(row.options) })))('$name', async ({ row }) => {
    const options = { ...OFF, ...row.options };
    const text = { promptIds: row.inputIds, answerIds: [], endTokens: [] };
    const probabilities = processLogits(logits, options, text);
    expect(probabilities.filter((p) => p > 0).length).toBe(row.keptCount);
    for (const [index, id] of row.ids.entries()) {
      expect(Math.abs(probabilities[id] - row.probabilities[index]), `id ${id}`).toBeLessThan(1e-6);
    }
    const { indices, tokens } = edgesOf(probabilities, { most: 6 });
    expect(tokens.length).toBeGreaterThan(0);
    expect(await drawOnGpu(gpu, logits, options, text, indices)).toEqual(tokens);
  });
});
