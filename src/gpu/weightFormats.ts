import { roundHalfToEven } from '../roundHalfToEven.ts';
import type { HostArray } from './tensor.ts';

/** The storage formats of weights, in files and on the GPU. */
export type WeightDtype = 'f32' | 'bf16' | 'f16';

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** Converts float32 values to the storage format, rounding to nearest, ties to even. @returns f32, or the bits of bf16 or f16 */
export function packWeights(values: HostArray, dtype: WeightDtype): Float32Array | Uint16Array {
  if (dtype === 'f32') return new Float32Array(values);
  const pack = dtype === 'bf16' ? toBf16 : toF16;
  const stored = new Uint16Array(values.length); // a loop: `from` with a function is many times slower
  for (let i = 0; i < stored.length; i++) stored[i] = pack(values[i]);
  return stored;
}

/** The exact values of stored weights. */
export function unpackWeights(stored: Float32Array | Uint16Array, dtype: WeightDtype): Float64Array {
  if (dtype === 'f32') return new Float64Array(stored);
  const unpack = dtype === 'bf16' ? fromBf16 : fromF16;
  const values = new Float64Array(stored.length);
  for (let i = 0; i < values.length; i++) values[i] = unpack(stored[i]);
  return values;
}

/** bf16 is the upper half of a float32. */
function toBf16(value: number): number {
  float[0] = value;
  return (word[0] + 0x7fff + ((word[0] >>> 16) & 1)) >>> 16;
}

function fromBf16(bits: number): number {
  word[0] = bits << 16;
  return float[0];
}

/** f16 has 5 bits of exponent and 10 of mantissa; below 2^-14 its values are multiples of 2^-24. */
function toF16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65_520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude || 2 ** -14)));
  const steps = roundHalfToEven(magnitude / 2 ** (exponent - 10));
  // A subnormal has no implicit leading bit. A mantissa that rounds up to 2048 carries into the exponent by itself.
  return sign | (steps < 1024 ? steps : ((exponent + 15 - 1) << 10) + steps);
}

function fromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 0x1f) return mantissa ? Number.NaN : sign * Infinity;
  return sign * (1024 + mantissa) * 2 ** (exponent - 25);
}
