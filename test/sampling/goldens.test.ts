/** Compares probabilities with transformers' own, test/goldens/sampling.json: those of the CPU, and those of the GPU's samples. */
import { describe, expect, it } from 'vitest';
import { goldens, readJson } from '../readTensors.ts';
import { sharedGpu } from '../sharedGpu.ts';
import { drawOnGpu, edgesOf } from './drawOnGpu.ts';
import { OFF, type ProcessOptions, processLogits, type TextSoFar } from './processLogits.ts';

interface Row {
  options: Record<string, number | number[]>;
  input_ids: number[];
  logits: number[];
  probs: number[];
  probs_float32: number[] | null;
  cut_inside_ties: boolean;
}
const rows: Row[] = readJson(`${goldens}sampling.json`).rows;

const gpu = await sharedGpu();

describe(`sampling.json on ${gpu.description}`, () => {
  it('has the twenty rows', () => expect(rows.length).toBe(20));

  it.each(rows.map((row, index) => ({ row, name: `${index} ${JSON.stringify(row.options)}` })))(
    'row $name',
    async ({ row }) => {
      const { options, text } = ours(row);
      const logits = Float32Array.from(row.logits);
      // generate itself runs in float32: if float64 keeps other tokens, the row has both
      const expected = row.probs_float32 ?? row.probs;
      const onCpu = processLogits(logits, options, text);
      expect(difference(onCpu, expected, row.cut_inside_ties)).toBeLessThan(1e-6);
      const { indices, tokens } = edgesOf(row.cut_inside_ties ? onCpu : expected);
      expect(await drawOnGpu(gpu, logits, options, text, indices)).toEqual(tokens);
    },
  );

  it('fails for any change', async () => {
    const { options, text } = ours(rows[16]);
    const logits = Float32Array.from(rows[16].logits);
    const { indices, tokens } = edgesOf(rows[16].probs);
    const changes: Partial<ProcessOptions>[] = [{ repetitionPenalty: 1 }, { temperature: 1 }, { topP: 0.5 }];
    for (const change of changes) {
      const changed = { ...options, ...change };
      expect(difference(processLogits(logits, changed, text), rows[16].probs, false)).toBeGreaterThan(1e-3);
      expect(await drawOnGpu(gpu, logits, changed, text, indices)).not.toEqual(tokens);
    }
  });
});

function ours({ options, input_ids }: Row): { options: ProcessOptions; text: TextSoFar } {
  const { eos_token_id = [], ...rest } = options;
  const named = Object.entries(rest).map(([key, value]) => [
    key.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()),
    value,
  ]);
  return {
    options: { ...OFF, ...Object.fromEntries(named) },
    text: { promptIds: input_ids, answerIds: [], endTokens: [eos_token_id].flat() },
  };
}

/** The largest difference; of sorted probabilities if a limit cuts through ties, because torch's sort is not stable. */
function difference(actual: ArrayLike<number>, expected: readonly number[], sorted: boolean): number {
  const order = (values: ArrayLike<number>) => {
    const array = Float64Array.from(values);
    return sorted ? array.sort() : array;
  };
  const [a, b] = [order(actual), order(expected)];
  expect(a.length).toBe(b.length);
  return b.reduce((largest, value, id) => Math.max(largest, Math.abs(a[id] - value)), 0);
}
