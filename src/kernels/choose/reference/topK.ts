import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { NO_TOKEN } from './argmax.ts';

const LOWEST_FLOAT = -3.4028234663852886e38;

/** Sorts all (score, id) and takes the first k. */
export function topKReference({ scores }: ReferenceArrays, { k }: Symbols) {
  const finite = Array.from(scores, (value, id) => ({ value, id })).filter(({ value }) =>
    Number.isFinite(value),
  );
  finite.sort((a, b) => b.value - a.value || a.id - b.id);
  return {
    ids: Float64Array.from({ length: k }, (_, rank) => finite[rank]?.id ?? NO_TOKEN),
    values: Float64Array.from({ length: k }, (_, rank) => finite[rank]?.value ?? LOWEST_FLOAT),
  };
}
