/** The uniform `params` of kernels, packed in the layout of their `struct Params`. A pass keeps all of them in one buffer. */
import { KernelError } from '../errors.ts';
import type { Symbols } from './shapes.ts';
import type { WgslInterface } from './wgslInterface.ts';

const UNIFORM_ALIGNMENT = 256; // minUniformBufferOffsetAlignment of every adapter

/** Packs the fields of `struct Params` in order, 4 bytes each. @throws KernelError KERNEL_INTERFACE if one is not in `sizes` */
export function packParams(kernel: string, { params }: WgslInterface, sizes: Symbols): Uint8Array {
  const view = new DataView(new ArrayBuffer(params.length * 4));
  for (const [index, { name, type }] of params.entries()) {
    if (!(name in sizes)) {
      throw new KernelError(
        'KERNEL_INTERFACE',
        `${kernel}: the field ${name} of struct Params has no value`,
        { kernel, field: name, hint: 'declare it in params, or give it the name of a size in the shapes' },
      );
    }
    if (type === 'f32') view.setFloat32(index * 4, sizes[name], true);
    else if (type === 'i32') view.setInt32(index * 4, sizes[name], true);
    else view.setUint32(index * 4, sizes[name], true);
  }
  return new Uint8Array(view.buffer);
}

/** All params of a pass in one uniform buffer. Equal blocks share one place. */
export class ParamsBlocks {
  readonly #blocks: Uint8Array[] = [];
  readonly #offsets = new Map<string, number>();

  get sizeBytes(): number {
    return Math.max(1, this.#blocks.length) * UNIFORM_ALIGNMENT;
  }

  /** @returns the byte offset of the block */
  add(block: Uint8Array): number {
    const key = block.join();
    const offset = this.#offsets.get(key) ?? this.#blocks.length * UNIFORM_ALIGNMENT;
    if (!this.#offsets.has(key)) this.#blocks.push(block);
    this.#offsets.set(key, offset);
    return offset;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.sizeBytes);
    for (const [index, block] of this.#blocks.entries()) bytes.set(block, index * UNIFORM_ALIGNMENT);
    return bytes;
  }
}
