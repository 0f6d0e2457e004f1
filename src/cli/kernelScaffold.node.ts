/** `m2 kernel new`: a complete and correct kernel to start from. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { InputError } from '../errors.ts';
import { UsageError } from './options.node.ts';

/**
 * Writes `NAME.wgsl` and `NAME.js`.
 *
 * @returns the paths of the two files, in this order
 * @throws UsageError for a name that is not a valid variable name; InputError INPUT_FILE if a file exists or can't be written
 */
export async function scaffoldKernel(name: string, folder: string): Promise<readonly [string, string]> {
  if (!isVariableName(name)) {
    throw new UsageError(`NAME is ${JSON.stringify(name)}, expected a variable name, e.g. leakyRelu`);
  }
  const text = join(folder, `${name}.wgsl`);
  const declaration = join(folder, `${name}.js`);
  await writeNew(text, wgsl(name), folder);
  await writeNew(declaration, js(name), folder);
  return [text, declaration];
}

function isVariableName(name: string): boolean {
  if (!/^[a-z]\w*$/i.test(name)) return false;
  try {
    new Script(`'use strict'; const ${name} = 0;`); // compiled, not run: fails for reserved words such as `class`
    return true;
  } catch {
    return false;
  }
}

async function writeNew(path: string, content: string, folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(path, content, { flag: 'wx' });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const problem = code === 'EEXIST' ? 'already exists' : `can't be written (${message})`;
    throw new InputError('INPUT_FILE', `${path} ${problem}`, { file: path, cause });
  }
}

const wgsl = (name: string) => `// ${name}: what it does, in one line.
//
//   out[row, i] = factor · x[row, i]
//
// One thread per element.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [rows, dim]
@group(0) @binding(1) var<storage, read_write> out: array<f32>;   // [rows, dim]
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
  factor: f32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = flatGroup(group, groups) * WORKGROUP_SIZE + thread;  // one element of out
  if (index < arrayLength(&out)) {
    out[index] = params.factor * x[index];
  }
}
`;

const js = (
  name: string,
) => `// m2 kernel check ${name}.js --watch     checks it whenever ${name}.wgsl or this file is saved
// m2 kernel bench ${name}.js             times it
// node ${name}.js                        checks it without the m2 command
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { checkKernel, defineKernel, flatGroup, openGpu, read, write } from 'm2-reasoning';

export const ${name} = defineKernel({
  name: '${name}',
  code: new URL('./${name}.wgsl', import.meta.url),
  helpers: [flatGroup],
  // The @binding lines, in order. rows and dim are solved from the tensors of each call.
  bindings: { x: read('f32', ['rows', 'dim']), out: write('f32', ['rows', 'dim']) },
  params: { factor: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  // The number of workgroups.
  dispatch: ({ rows, dim }, { WORKGROUP_SIZE }) => [Math.ceil((rows * dim) / WORKGROUP_SIZE)],
  // The CPU reference, in float64.
  reference: ({ x }, { factor }) => ({ out: x.map((value) => factor * value) }),
  // Cases in which the two are compared: odd sizes, single rows and columns, large values, zeros.
  cases: [
    { name: 'odd sizes', sizes: { rows: 3, dim: 71, factor: 0.3 } },
    { name: 'one column', sizes: { rows: 5, dim: 1, factor: 0.3 } },
    { name: 'large values', sizes: { rows: 2, dim: 33, factor: 0.3 }, scale: 1e4 },
    { name: 'zeros', sizes: { rows: 2, dim: 64, factor: 0.3 }, scale: 0 },
    { name: 'a large one, to time', sizes: { rows: 64, dim: 4096, factor: 0.3 } },
  ],
  tolerance: { abs: 0, rel: 1.2e-7, reason: 'the factor and one product: two roundings of 2^-24' },
});

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const gpu = await openGpu();
  const rows = await checkKernel(gpu, ${name});
  console.table(rows, ['case', 'maxAbs', 'bound', 'verdict']);
  gpu.destroy();
  if (!rows.every(({ ok }) => ok)) process.exitCode = 1;
}
`;
