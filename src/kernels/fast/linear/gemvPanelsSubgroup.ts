import { readWrite, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { matmulReference } from '../../plain/reference/matmul.ts';
import { erf, flatGroup, readPanel, readWeight, storePanel } from '../../shared/helpers.ts';
import { gemvPanelsContract } from './gemvPanels.ts';
import { linearAddReference, linearGateReference } from './reference/panelLinear.ts';

const { inputs, gateTolerance, ...contract } = gemvPanelsContract;
const subgroups = {
  ...contract,
  code: new URL('./gemvPanelsSubgroup.wgsl', import.meta.url),
  helpers: [flatGroup, readWeight, readPanel, erf, storePanel],
  usesSubgroups: true,
  dispatch: ({ weightRows }: Record<string, number>, constants: Record<string, number>) => {
    const { WORKGROUP_SIZE, SUBGROUP_SIZE } = constants;
    return [Math.ceil(weightRows / ((16 * WORKGROUP_SIZE) / SUBGROUP_SIZE))];
  },
};

/** `gemvPanels` with a subgroup per two panels, whose lanes read neighbouring words: for GPUs, where a thread alone is slow. */
export const gemvPanelsSubgroup = defineKernel({
  ...subgroups,
  name: 'gemvPanelsSubgroup',
  bindings: { ...inputs, out: write('f32', [1, 'outDim']) },
  constants: { WORKGROUP_SIZE: 64, EPILOGUE: 0 },
  reference: matmulReference,
});

/** `gemvPanelsAdd` in the same way. */
export const gemvPanelsSubgroupAdd = defineKernel({
  ...subgroups,
  name: 'gemvPanelsSubgroupAdd',
  bindings: { ...inputs, out: readWrite('f32', [1, 'outDim']) },
  constants: { WORKGROUP_SIZE: 64, EPILOGUE: 1 },
  reference: linearAddReference,
});

/** `gemvPanelsGate` in the same way. */
export const gemvPanelsSubgroupGate = defineKernel({
  ...subgroups,
  name: 'gemvPanelsSubgroupGate',
  bindings: { ...inputs, out: write('f32', [1, ({ outDim }) => outDim / 2]) },
  constants: { WORKGROUP_SIZE: 64, EPILOGUE: 2 },
  reference: linearGateReference,
  tolerance: gateTolerance,
});
