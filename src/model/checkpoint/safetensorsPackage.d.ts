/** The npm package `safetensors` 0.0.1 ships no types: this is the part of it that we use. */
declare module 'safetensors' {
  export class SafeTensor {
    /** @param buffer a whole file, or its header alone; must start at byte 0 of its ArrayBuffer */
    constructor(buffer: Uint8Array);
    /** By tensor name; offsets are absolute in the file. */
    readonly metadata: Map<string, { dtype: string; shape: number[]; data_offsets: number[] }>;
  }
  /** In Node the package is CommonJS, whose exports arrive here; bundlers see the named export instead. */
  const exports: { readonly SafeTensor: typeof SafeTensor } | undefined;
  export default exports;
}
