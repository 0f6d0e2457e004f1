import { PANEL_ROWS } from '../../../gpu/panels.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { erf, flatGroup, panelRows, readPanel, readWeight, storePanel } from '../../shared/helpers.ts';
import { gemvPanelsContract } from './gemvPanels.ts';
import { inBf16, linearFamily } from './linearFamily.ts';

/** `gemvPanels` with a subgroup per two panels, whose lanes read neighbouring words: for GPUs, where a thread alone is slow. */
export const gemvPanelsSubgroupFamily = linearFamily({
  ...gemvPanelsContract,
  name: 'gemvPanelsSubgroup',
  code: new URL('./gemvPanelsSubgroup.wgsl', import.meta.url),
  helpers: [panelRows, flatGroup, readWeight, readPanel, erf, storePanel],
  usesSubgroups: true,
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ weightRows }: Symbols, { WORKGROUP_SIZE, SUBGROUP_SIZE }: Symbols) => [
    Math.ceil(weightRows / ((2 * PANEL_ROWS * WORKGROUP_SIZE) / SUBGROUP_SIZE)),
  ],
  cases: inBf16(gemvPanelsContract.cases),
});
export const {
  store: gemvPanelsSubgroup,
  add: gemvPanelsSubgroupAdd,
  gate: gemvPanelsSubgroupGate,
} = gemvPanelsSubgroupFamily;
