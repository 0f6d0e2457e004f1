import { ShapeError } from '../errors.ts';

/** Sizes by name, e.g. `{ rows: 94, dim: 128 }`. */
export type Symbols = Readonly<Record<string, number>>;

/** One axis of a declared shape: a name to solve, a fixed size, or a function of solved names. */
export type Dim = string | number | ((symbols: Symbols) => number);

/** A shape to solve against. A flat array has no known axes, only a number of elements. */
export interface Actual {
  readonly shape: readonly number[] | null;
  readonly elements: number;
}

/**
 * Solves the names in `declared` from the tensors' shapes.
 *
 * @param given names known beforehand: a kernel's params may appear in shapes
 * @returns every solved name
 * @throws ShapeError SHAPE_MISMATCH with kernel, binding, symbol and both values; SHAPE_UNSOLVED if a name stays open
 */
export function solveShapes(
  kernel: string,
  declared: Readonly<Record<string, readonly Dim[]>>,
  actual: Readonly<Record<string, Actual>>,
  given: Symbols = {},
): Record<string, number> {
  const symbols: Record<string, number> = { ...given };
  for (const [binding, { shape }] of Object.entries(actual)) {
    if (shape === null) continue;
    const dims = declared[binding];
    if (dims.length !== shape.length) {
      throw mismatch(kernel, binding, `${dims.length} axes [${dims.map(describe)}]`, `[${shape}]`);
    }
    for (const [axis, dim] of dims.entries()) {
      if (typeof dim !== 'string') continue;
      symbols[dim] ??= shape[axis];
      if (symbols[dim] !== shape[axis]) {
        throw mismatch(kernel, binding, `${dim} = ${symbols[dim]}`, `${shape[axis]} in [${shape}]`);
      }
    }
  }
  solveFlat(declared, actual, symbols);
  checkAll(kernel, declared, actual, symbols);
  return symbols;
}

/** The sizes of a declared shape. @throws ShapeError SHAPE_UNSOLVED if a name has no size */
export function evaluate(kernel: string, binding: string, dims: readonly Dim[], symbols: Symbols): number[] {
  return dims.map((dim) => {
    const size = typeof dim === 'function' ? dim(symbols) : typeof dim === 'string' ? symbols[dim] : dim;
    if (!Number.isInteger(size) || size < 0) {
      throw new ShapeError(
        'SHAPE_UNSOLVED',
        `${kernel}: the size of ${describe(dim)} in ${binding} is ${size}`,
        {
          kernel,
          binding,
          hint: 'give a tensor, or an array with its shape: { data, shape }',
        },
      );
    }
    return size;
  });
}

/** Solves names from flat arrays, fewest axes first. An array with a single unknown name gives that name its size. */
function solveFlat(
  declared: Readonly<Record<string, readonly Dim[]>>,
  actual: Readonly<Record<string, Actual>>,
  symbols: Record<string, number>,
): void {
  const flat = Object.entries(actual).filter(([, { shape }]) => shape === null);
  flat.sort(([a], [b]) => declared[a].length - declared[b].length);
  for (const [binding, { elements }] of [...flat, ...flat]) {
    const unknown = new Set(
      declared[binding].filter((dim) => typeof dim === 'string' && !(dim in symbols)) as string[],
    );
    if (unknown.size !== 1 || declared[binding].some((dim) => typeof dim === 'function')) continue;
    const [name] = unknown;
    const known = declared[binding].filter((dim) => dim !== name);
    const product = known.reduce<number>(
      (size, dim) => size * (typeof dim === 'string' ? symbols[dim] : (dim as number)),
      1,
    );
    symbols[name] = elements / product;
  }
}

function checkAll(
  kernel: string,
  declared: Readonly<Record<string, readonly Dim[]>>,
  actual: Readonly<Record<string, Actual>>,
  symbols: Symbols,
): void {
  for (const [binding, { shape, elements }] of Object.entries(actual)) {
    const expected = evaluate(kernel, binding, declared[binding], symbols);
    const matches =
      shape === null
        ? expected.reduce((product, size) => product * size, 1) === elements
        : expected.every((size, axis) => size === shape[axis]);
    if (!matches) {
      throw mismatch(kernel, binding, `[${expected}]`, shape === null ? `${elements} values` : `[${shape}]`);
    }
  }
}

function describe(dim: Dim): string {
  return typeof dim === 'function' ? '(computed)' : String(dim);
}

function mismatch(kernel: string, binding: string, expected: string, actual: string): ShapeError {
  return new ShapeError('SHAPE_MISMATCH', `${kernel}: ${binding} should have ${expected}, has ${actual}`, {
    kernel,
    binding,
    expected,
    actual,
  });
}
