/** Size checks for a kernel's `dispatch`. */
import { KernelError } from '../errors.ts';

/** For kernels with an array of fixed size. @throws KernelError KERNEL_LIMIT if `size` exceeds `limit` */
export function assertSizeAtMost(
  kernel: string,
  field: string,
  size: number,
  limit: number,
  hint = 'raise the constant in its .wgsl file',
): void {
  if (size <= limit) return;
  throw new KernelError('KERNEL_LIMIT', `${kernel}: ${field} is ${size}, the kernel has room for ${limit}`, {
    kernel,
    field,
    expected: limit,
    actual: size,
    hint,
  });
}

/** For kernels that read several values at a time. @throws KernelError KERNEL_LIMIT if `size` is not a multiple of `factor` */
export function assertMultipleOf(kernel: string, field: string, size: number, factor: number): void {
  if (size % factor === 0) return;
  throw new KernelError('KERNEL_LIMIT', `${kernel}: ${field} is ${size}, not a multiple of ${factor}`, {
    kernel,
    field,
    expected: `a multiple of ${factor}`,
    actual: size,
    hint: 'use a kernel that reads one value at a time',
  });
}
