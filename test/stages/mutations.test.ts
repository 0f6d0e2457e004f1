import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Changes } from '../../src/gpu/kernel.ts';
import { goldens } from '../readTensors.ts';
import { sharedGpu } from '../sharedGpu.ts';

/** Runs one case with freshly loaded modules, so that a mocked module affects only this case. */
async function runCase(name: string, siluGate?: Changes) {
  vi.resetModules();
  const { kernels } = await import('../../src/kernels/kernelSet.ts');
  const { runParity } = await import('../../src/parity/runParity.node.ts');
  const replaced = siluGate ? { siluGate: kernels.siluGate.variant(siluGate) } : {};
  const [report] = await runParity(goldens, { gpu: await sharedGpu(), case: name, kernels: replaced });
  return report;
}

const WINDOWS = '../../src/model/graph/windows.ts';
const POSITIONS = '../../src/model/graph/positions.ts';
const CASE = 'mrope-bf16/multi-turn-300x150'; // its grid is not a multiple of the windows

afterEach(() => {
  vi.doUnmock(WINDOWS);
  vi.doUnmock(POSITIONS);
});

describe('the parity suite notices a mutation', () => {
  it('passes without one', async () => {
    expect((await runCase(CASE)).ok).toBe(true);
  });

  it('the window order instead of its inverse', async () => {
    vi.doMock(WINDOWS, async (original) => ({
      ...(await original<typeof import('../../src/model/graph/windows.ts')>()),
      inversePermutation: (permutation: Uint32Array) => permutation,
    }));
    const report = await runCase(CASE);
    expect(report.firstDivergence).toBe('vision.output');
  });

  it('the sign of the rope delta', async () => {
    vi.doMock(POSITIONS, async (original) => {
      const module = await original<typeof import('../../src/model/graph/positions.ts')>();
      const positionsFor: typeof module.positionsFor = (...args) => {
        const positions = module.positionsFor(...args);
        return { ...positions, ropeDelta: -positions.ropeDelta };
      };
      return { ...module, positionsFor };
    });
    const report = await runCase(CASE);
    expect(report.firstDivergence).toBe('rope_delta');
    const wrong = report.rows.filter(({ ok }) => !ok).map(({ stage }) => stage);
    expect(wrong).toContain('logits.steps');
    expect(wrong).toContain('greedy_ids');
  });

  it('GELU for SiLU', async () => {
    const gelu = `
      override WORKGROUP_SIZE: u32 = 64u;
      @group(0) @binding(0) var<storage, read> gateUp: array<f32>;
      @group(0) @binding(1) var<storage, read_write> out: array<f32>;
      @compute @workgroup_size(WORKGROUP_SIZE)
      fn main(@builtin(global_invocation_id) id: vec3u) {
        if (id.x >= arrayLength(&out)) { return; }
        let gate = gateUp[2u * id.x];
        out[id.x] = 0.5 * gate * (1.0 + tanh(0.7978845608 * (gate + 0.044715 * gate * gate * gate))) * gateUp[2u * id.x + 1u];
      }`;
    const report = await runCase(CASE, { code: gelu, helpers: [] });
    expect(report.firstDivergence).toBe('vision.block0');
  });
});
