// The parts of gpu.js that describe the adapter and check that everything is correct on it.

// @ts-check
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { checkKernel, kernels } from 'm2-reasoning';
import { listCases, runParity } from 'm2-reasoning/node';
import { create } from 'webgpu';
import { short } from './report.js';

const GOLDENS = fileURLToPath(new URL('../../test/goldens', import.meta.url));
const QUICK_KERNELS = ['add', 'argmax', 'decodeAttention', 'gemv', 'gemvPanels', 'matmulPanels'];
/** Features that are off by default in Dawn, to see what they would offer. */
const TOGGLES = 'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia';

/** @typedef {import('./part.js').PartRun} PartRun */

/** Features and limits of the adapter (with and without Dawn's toggles) and of the device that the library opens. @param {PartRun} run */
export async function adapter(run) {
  const add = (/** @type {string} */ name, /** @type {string | number} */ value) =>
    run.add({ name, value }, `${name.padEnd(40)} ${value}`);
  const { info, device, isSoftware, maxBindingBytes } = run.gpu;
  const of = (/** @type {{ features: Iterable<string> }} */ { features }) => [...features].sort().join(', ');
  for (const key of /** @type {const} */ (['vendor', 'architecture', 'device', 'description']))
    add(key, info[key]);
  add('software', String(isSoftware));
  add('subgroup sizes', `${info.subgroupMinSize} to ${info.subgroupMaxSize}`);
  add('bindings up to, bytes', maxBindingBytes);
  add('features in use', of(device));
  add('node', process.version);
  add('processor', `${cpus()[0].model}, ${cpus().length} threads`);
  const instances = [create([]), create([TOGGLES])]; // kept: Node crashes if one is garbage-collected
  for (const [i, name] of ['features', 'features with toggles'].entries()) {
    const asked = await instances[i].requestAdapter();
    if (asked === null) continue;
    add(name, of(asked));
    const { subgroupMatrixConfigs = [] } = /** @type {any} */ (asked.info);
    for (const { componentType, resultComponentType, M, N, K } of subgroupMatrixConfigs) {
      add('subgroup matrix', `${M} x ${N} x ${K}, ${componentType} to ${resultComponentType}`);
    }
    if (i > 0) continue;
    for (const limit in asked.limits) add(limit, /** @type {any} */ (asked.limits)[limit]);
  }
}

/** Checks every kernel against float64. @param {PartRun} run */
export async function checkedKernels(run) {
  const names = run.kernels ?? (run.quick ? QUICK_KERNELS : Object.keys(kernels));
  for (const name of names) {
    if (run.isLate(name)) return;
    const kernel = /** @type {Record<string, import('m2-reasoning').Kernel>} */ (
      /** @type {any} */ (kernels)
    )[name];
    try {
      if (kernel === undefined) throw new RangeError('there is no kernel of this name');
      const startedAt = performance.now();
      const rows = await checkKernel(run.gpu, kernel);
      const seconds = (performance.now() - startedAt) / 1000;
      const wrong = rows.filter(({ ok }) => !ok);
      const ofTolerance = Math.max(...rows.map(({ maxAbs, bound }) => (bound > 0 ? maxAbs / bound : 0)));
      const verdict = wrong.length === 0 ? 'ok' : `${wrong[0].case}, ${wrong[0].output}: ${wrong[0].verdict}`;
      const counted = `${rows.length} checks in ${short(seconds)} s, ${short(100 * ofTolerance)} % of the tolerance`;
      run.add(
        { kernel: name, checks: rows.length, wrong: wrong.length, ofTolerance, seconds, verdict },
        `${name.padEnd(24)} ${verdict === 'ok' ? 'ok' : 'WRONG'}  ${counted}`,
      );
      if (wrong.length > 0)
        run.problem(`${name} is wrong in ${wrong.length} of ${rows.length} checks: ${verdict}`);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'KERNEL_FEATURE') {
        run.note(`${name}: left out, ${error.message}`);
        continue;
      }
      run.problem(`${name}: ${error instanceof Error ? error.message : error}`);
      await run.revive();
    }
  }
}

/** Compares every golden case, with the fast and with the plain kernels. @param {PartRun} run */
export async function goldens(run) {
  if (!existsSync(GOLDENS)) {
    run.note('there is no folder test/goldens here: nothing was compared');
    return;
  }
  const cases = await listCases(GOLDENS);
  const names = run.quick ? cases.slice(0, 1) : cases;
  for (const kernelSet of /** @type {const} */ (['fast', 'plain'])) {
    for (const name of names) {
      if (run.isLate(`${name} with the ${kernelSet} kernels`)) return;
      try {
        const [{ rows, ok, firstDivergence }] = await runParity(GOLDENS, {
          gpu: run.gpu,
          kernelSet,
          case: name,
        });
        const ofLargest = Math.max(...rows.map(({ maxRel }) => maxRel).filter(Number.isFinite));
        const verdict = ok ? 'ok' : `first differs at ${firstDivergence}`;
        run.add(
          { case: name, kernelSet, ok, firstDivergence, ofLargest },
          `${kernelSet.padEnd(6)} ${name.padEnd(44)} ${verdict}, largest relative error ${short(ofLargest)}`,
        );
        if (!ok) run.problem(`${name} with the ${kernelSet} kernels: ${verdict}`);
      } catch (error) {
        run.problem(
          `${name} with the ${kernelSet} kernels: ${error instanceof Error ? error.message : error}`,
        );
        await run.revive();
      }
    }
  }
}
