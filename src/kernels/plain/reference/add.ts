import type { ReferenceArrays } from '../../../gpu/declaration.ts';

/** hidden += delta */
export function addReference({ hidden, delta }: ReferenceArrays) {
  return { hidden: hidden.map((value, i) => value + delta[i]) };
}
