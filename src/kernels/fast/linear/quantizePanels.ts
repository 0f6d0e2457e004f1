import { panels, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { assertMultipleOf } from '../../../gpu/kernelLimits.ts';
import { PANEL_ROWS } from '../../../gpu/panels.ts';
import { flatGroup, panelRows, readPanel } from '../../shared/helpers.ts';
import { INT8_BLOCK, weightPanels } from './gemvInt8.ts';
import { quantizePanelsReference } from './reference/int8.ts';

/**
 * Turns `weight` [outDim, inDim] in panels, of any dtype and perhaps in pieces, into what `gemvInt8` and `matmulInt8` read, 8-bit
 * integers with a scale for each 32 of them along a row: `quants` [ceil(outDim / 8), inDim / 4, 8] u32, four integers of one row
 * to a word, `scales` [ceil(outDim / 8), inDim / 32, 8] f32. Rows past outDim are zeros.
 *
 * Both outputs are plain tensors, never in pieces: `quants` has to fit one binding.
 *
 * @throws KernelError KERNEL_LIMIT when inDim is not a multiple of 32
 */
export const quantizePanels = defineKernel({
  name: 'quantizePanels',
  code: new URL('./quantizePanels.wgsl', import.meta.url),
  helpers: [panelRows, flatGroup, readPanel],
  bindings: {
    weight: panels(['outDim', 'inDim']),
    quants: write('u32', [weightPanels, ({ inDim }) => Math.floor(inDim / 4), PANEL_ROWS]),
    scales: write('f32', [weightPanels, ({ inDim }) => Math.floor(inDim / INT8_BLOCK), PANEL_ROWS]),
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ weightRows, inDim }, { WORKGROUP_SIZE, BLOCK }) => {
    assertMultipleOf('quantizePanels', 'inDim', inDim, BLOCK);
    return [Math.ceil((Math.ceil(weightRows / PANEL_ROWS) * (inDim / BLOCK)) / WORKGROUP_SIZE)];
  },
  reference: quantizePanelsReference,
  cases: [
    { name: 'odd rows', sizes: { inDim: 64, outDim: 42 }, weightDtype: 'bf16' },
    { name: 'two rows', sizes: { inDim: 32, outDim: 2 }, weightDtype: 'bf16' },
    { name: 'more than one workgroup', sizes: { inDim: 1024, outDim: 20 }, weightDtype: 'bf16' },
    { name: 'zeros', sizes: { inDim: 32, outDim: 8 }, scale: 0, weightDtype: 'bf16' },
  ],
  tolerance: {
    abs: 0,
    rel: 0,
    reason:
      'the definition rounds to f32 where the kernel does; an adapter whose division is less exact may differ at a tie',
  },
});
