/** Helpers for one dispatch: names of dtype overrides, folded grids. */

const MAX_GROUPS = 65_535; // maxComputeWorkgroupsPerDimension of every adapter

/** `weight` → `WEIGHT_DTYPE`, `tokenTable` → `TOKEN_TABLE_DTYPE`. */
export function dtypeOverride(binding: string): string {
  return `${binding.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}_DTYPE`;
}

/** Folds more than 65,535 groups in x into y. Kernels recover the flat index with flatGroup (kernels/shared/flatGroup.wgsl). */
export function foldGroups([x, y = 1, z = 1]: readonly number[]): readonly number[] {
  if (x <= MAX_GROUPS) return [x, y, z];
  const folds = Math.ceil(x / MAX_GROUPS);
  return [Math.ceil(x / folds), y * folds, z];
}
