/** Helpers for one dispatch: names of dtype overrides, folded grids, the check for aliased buffers. */
import { KernelError } from '../errors.ts';
import type { KernelDeclaration } from './declaration.ts';

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

/** @throws KernelError KERNEL_BINDING if a buffer is written and also bound elsewhere, which WebGPU forbids */
export function checkAliasing({ name, bindings }: KernelDeclaration, buffers: readonly GPUBuffer[]): void {
  for (const [index, [binding, { access }]] of Object.entries(bindings).entries()) {
    if (access !== 'write' && access !== 'readWrite') continue;
    const twin = buffers.findIndex((buffer, other) => other !== index && buffer === buffers[index]);
    if (twin >= 0) {
      const other = Object.keys(bindings)[twin];
      throw bindingError(
        name,
        binding,
        `${binding} is written and shares its buffer with ${other}`,
        'declare one readWrite binding instead, or pass different tensors',
      );
    }
  }
}

export function bindingError(kernel: string, binding: string, problem: string, hint: string): KernelError {
  return new KernelError('KERNEL_BINDING', `${kernel}: ${problem}`, { kernel, binding, hint });
}
