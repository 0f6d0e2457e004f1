import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { adapters } from '../../src/cli/adapters.node.ts';
import { inspect } from '../../src/cli/inspect.node.ts';
import { parity } from '../../src/cli/parity.node.ts';
import { parseModelConfig } from '../../src/model/checkpoint/config.ts';
import { expectedTensors } from '../../src/model/checkpoint/expectedTensors.ts';
import { safetensorsFile } from '../checkpoint/helpers.ts';
import { bundledModel, inProcess, m2, root } from './helpers.ts';

const scratch = mkdtempSync(join(tmpdir(), 'm2-cli-'));
afterAll(() => rmSync(scratch, { recursive: true }));

describe('m2 inspect', () => {
  test('the bundled model, with --json', async () => {
    const { exitCode, stdout, errorLines } = await inProcess(inspect, ['--json']);
    expect([exitCode, errorLines]).toEqual([0, []]);
    const inspection = JSON.parse(stdout);
    expect(inspection).toMatchObject({
      model: bundledModel,
      config: {
        vision: { depth: 4, hiddenSize: 128 },
        llm: { numHiddenLayers: 5, rope: 'm_rope' },
        mlpDepths: 2,
      },
      tensors: 121,
      limit: { maxBindingBytes: expect.any(Number) },
      splits: [],
      warnings: [],
    });
    const index = JSON.parse(readFileSync(join(bundledModel, 'model.safetensors.index.json'), 'utf8'));
    expect(inspection.bytes).toBe(index.metadata.total_size);
    expect(inspection.dtypes).toEqual([{ name: 'bf16', tensors: 121, bytes: inspection.bytes }]);
    expect(inspection.files.map(({ tensors }: { tensors: number }) => tensors)).toEqual([65, 56]);
    expect(inspection.largest[0]).toMatchObject({ shape: [512, 512], sizeBytes: 2 ** 19 });
  });

  test('the bundled model, as text; works without an adapter', async () => {
    const env = { VK_DRIVER_FILES: join(scratch, 'no-driver.json') };
    const { exitCode, stdout } = await m2(['inspect', bundledModel], { env });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/vision +4 blocks, width 128, 4 heads of 32, MLP 352\n/);
    expect(stdout).toMatch(/rope +m_rope, sections 4 \+ 6 \+ 6 \(t, row, col\), theta 100\n/);
    expect(stdout).toMatch(/weights: 121 tensors, 7\.2 MiB\n/);
    expect(stdout).toMatch(/splits: unknown, no WebGPU adapter/);
  });

  test('joined matrices above the limit are split, at the real MLP size', async () => {
    const folder = mkdtempSync(join(scratch, 'wide-'));
    writeSparseCheckpoint(folder, { intermediate_size: 18_944, vocab_size: 152_064 });
    const { stdout } = await inProcess(inspect, [folder, '--max-binding-mib', '128', '--json']);
    const { limit, splits } = JSON.parse(stdout);
    expect(limit).toEqual({ maxBindingBytes: 2 ** 27, source: '--max-binding-mib' });
    const layer = 'language_model.model.layers.0';
    expect(splits.map(({ name, pieces }: { name: string; pieces: number }) => [name, pieces])).toEqual([
      ['language_model.model.embed_tokens.weight', 9],
      [`${layer}.mlp.{gate,up}_proj.weight`, 3],
      [`${layer}.mlp.down_proj.weight`, 2],
      ['language_model.lm_head.weight', 9],
    ]);
    const { stdout: text } = await inProcess(inspect, [folder, '--max-binding-mib', '128']);
    expect(text).toMatch(/mlp\.\{gate,up\}_proj\.weight +bf16 +\[37888, 3584\] +259\.0 MiB +3 pieces\n/);
  });
});

/** The seven-b-slice with other sizes. Config and header are written, the weights are a hole in a sparse file. */
function writeSparseCheckpoint(folder: string, sizes: Record<string, number>): void {
  const config = JSON.parse(readFileSync(join(root, 'test/goldens/seven-b-slice/config.json'), 'utf8'));
  Object.assign(config.llm_config, sizes);
  const configBytes = new TextEncoder().encode(JSON.stringify(config));
  const header: Record<string, object> = {};
  let end = 0;
  for (const { name, shape } of expectedTensors(parseModelConfig(configBytes, 'config.json'))) {
    const begin = end;
    end += 2 * shape.reduce((product, size) => product * size, 1);
    header[name] = { dtype: 'BF16', shape, data_offsets: [begin, end] };
  }
  const file = safetensorsFile(header);
  writeFileSync(join(folder, 'config.json'), configBytes);
  writeFileSync(join(folder, 'model.safetensors'), file);
  truncateSync(join(folder, 'model.safetensors'), file.byteLength + end);
}

const goldens = join(root, 'test', 'goldens');
const CASE = 'mrope-bf16/one-png-224';

describe('m2 parity', () => {
  test('--json prints the reports of one case', async () => {
    const flags = ['--json', '--goldens', goldens, '--case', 'mrope-bf16/eos-stop'];
    const { exitCode, stdout } = await inProcess(parity, flags);
    expect(exitCode).toBe(0);
    const reports = JSON.parse(stdout);
    expect(reports).toEqual([
      expect.objectContaining({ case: 'mrope-bf16/eos-stop', ok: true, firstDivergence: null }),
    ]);
  });

  test('prints a table of the stages and the verdict; for a case that differs, the first such stage', async () => {
    const folder = goldensWithWrongStage('vision.block1');
    const { exitCode, stdout } = await m2(['parity', '--goldens', folder]);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^mrope-bf16\/eos-stop: passed\n/);
    expect(stdout).toMatch(/\n {2}stage +shape +max abs error +max rel error +tolerance +verdict\n/);
    expect(stdout).toMatch(/\nmrope-bf16\/one-png-224: FAILED\n/);
    expect(stdout).toMatch(/\n {2}llm\.layer2 +\[94, 128\] +\S+e-\d+ +\S+e-\d+ .* ok\n/);
    expect(stdout).toMatch(/vision\.block1 .* DIFFERS\n/);
    expect(stdout).toMatch(/first stage that differs: vision\.block1/);
    expect(stdout).toMatch(/\n1 passed, 1 failed\n$/);
  });
});

/** Two golden cases, one of them with one changed value. */
function goldensWithWrongStage(stage: string): string {
  const folder = mkdtempSync(join(scratch, 'goldens-'));
  for (const name of ['images', 'checkpoints']) symlinkSync(join(goldens, name), join(folder, name));
  for (const name of [CASE, 'mrope-bf16/eos-stop']) {
    cpSync(join(goldens, 'cases', name), join(folder, 'cases', name), { recursive: true });
  }
  const path = join(folder, 'cases', CASE, 'tensors.safetensors');
  const file = readFileSync(path);
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerBytes));
  file.writeFloatLE(1000, 8 + headerBytes + header[stage].data_offsets[0]);
  writeFileSync(path, file);
  return folder;
}

describe('m2 itself', () => {
  test('adapters shows adapter, driver and limits', async () => {
    const { exitCode, stdout } = await m2(['adapters']);
    expect(exitCode).toBe(0);
    for (const name of ['adapter', 'vendor', 'driver', 'features', 'maxStorageBufferBindingSize']) {
      expect(stdout).toMatch(new RegExp(`^${name} +\\S+`, 'm'));
    }
    const { stdout: json } = await inProcess(adapters, ['--json']);
    expect(JSON.parse(json).limits.maxComputeInvocationsPerWorkgroup).toBeGreaterThanOrEqual(256);
  });

  test.for(['', 'generate', 'chat', 'inspect', 'parity', 'adapters'])('m2 %s --help', async (command) => {
    const args = command === '' ? ['--help'] : [command, '--help'];
    const { exitCode, stdout, errorLines } = await m2(args);
    expect([exitCode, errorLines]).toEqual([0, []]);
    expect(stdout).toMatch(new RegExp(`^m2 ${command || 'COMMAND'}`));
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });

  test('--version', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(await m2(['--version'])).toEqual({ exitCode: 0, stdout: `${version}\n`, errorLines: [] });
  });
});
