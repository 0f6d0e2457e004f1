import { panels, read, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { PANEL_ROWS } from '../../../gpu/panels.ts';
import { embedReference } from '../../plain/reference/embed.ts';
import { flatGroup, panelRows, readWeight } from '../../shared/helpers.ts';

/** `embed` on a table in panels: `ids` [tokens] u32, `table` [vocab, dim] → [tokens, dim] f32. */
export const embedPanels = defineKernel({
  name: 'embedPanels',
  code: new URL('./embedPanels.wgsl', import.meta.url),
  helpers: [panelRows, flatGroup, readWeight],
  bindings: {
    ids: read('u32', ['tokens']),
    table: panels(['vocab', 'dim']),
    out: write('f32', ['tokens', 'dim']),
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ tokens, dim }, { WORKGROUP_SIZE }) => [Math.ceil((tokens * dim) / WORKGROUP_SIZE)],
  reference: embedReference,
  touches: ({ tokens, vocab }) => ({ table: Math.min(1, (PANEL_ROWS * tokens) / vocab) }), // whole panels
  cases: [
    embedCase('odd sizes, an id past the vocabulary', { vocab: 13, dim: 5 }, [12, 0, 3, 7, 9, 99]),
    embedCase('ids in many panels', { vocab: 67, dim: 40 }, [66, 0, 24, 31, 40]),
    embedCase('one token, one column', { vocab: 3, dim: 1 }, [2]),
    embedCase('the 7B width', { vocab: 11, dim: 3584 }, [10, 1, 5]),
  ],
  tolerance: { abs: 0, rel: 0, reason: 'a copy: exact' },
});

function embedCase(name: string, sizes: Record<string, number>, ids: readonly number[]) {
  const inputs = () => ({ ids: Uint32Array.from(ids) });
  return { name, sizes: { ...sizes, tokens: ids.length }, inputs };
}
