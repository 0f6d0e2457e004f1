/** What a kernel's `dispatch` refuses: sizes that its text has no room for. */
import { KernelError } from '../errors.ts';

/** For kernels whose text has room for a fixed size. @throws KernelError KERNEL_LIMIT */
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

/** For kernels that read several values at a time. @throws KernelError KERNEL_LIMIT */
export function assertMultipleOf(kernel: string, field: string, size: number, factor: number): void {
  if (size % factor === 0) return;
  throw new KernelError('KERNEL_LIMIT', `${kernel}: ${field} is ${size}, not a multiple of ${factor}`, {
    kernel,
    field,
    expected: `a multiple of ${factor}`,
    actual: size,
    hint: 'give a kernel whose text reads one value at a time',
  });
}
