/** Beam search on the GPU: every beam has a cache of its own; beams that split or die move caches there, never through the host. */
import { Pass, type ReadBack } from '../gpu/pass.ts';
import { copyRanges, freeTensors, readTensor, type Tensor, writePiece, zeros } from '../gpu/tensor.ts';
import type { PreprocessedImage } from '../processor/patches.ts';
import { type BeamOptions, BeamScorer, type Hypothesis } from './beamScorer.ts';
import { throwIfAborted } from './generationStream.ts';
import { type ModelParts, Sequence, type SequenceOptions, type TokenChooser } from './sequence.ts';

export interface BeamSearchInputs {
  readonly inputIds: readonly number[];
  readonly images: readonly PreprocessedImage[];
  /** 'reference': every beam sees the image features in another, wrong order, as in the published code. */
  readonly quirks: 'reference' | 'fixed';
}

/** The best next tokens of one beam, on the GPU. */
interface Candidates {
  readonly ids: Tensor; // [k] u32
  readonly logProbs: Tensor; // [k] f32
}

/**
 * Searches with `numBeams` beams for the most probable answer.
 *
 * @returns the answer's tokens, its end token included, and its score
 * @throws GenerationError GEN_ABORTED; GpuError
 * Follows: transformers 4.49, generation/utils.py, _beam_search
 */
export async function beamSearch(
  model: ModelParts,
  inputs: BeamSearchInputs,
  sequenceOptions: Pick<SequenceOptions, 'context' | 'positions' | 'videoRope'>,
  options: BeamOptions & { readonly signal?: AbortSignal; readonly onPrefilled?: () => void },
): Promise<Hypothesis> {
  const { gpu } = model;
  const scorer = new BeamScorer(options);
  const k = Math.min(scorer.candidatesPerStep, model.config.llm.vocabSize);
  const candidates: Candidates[] = [];
  const slots: Sequence[] = [];
  const pass = new Pass(gpu, 'beams');
  try {
    for (let slot = 0; slot < options.numBeams; slot++) {
      const found = { ids: zeros(gpu, 'u32', [k], 'candidates'), logProbs: zeros(gpu, 'f32', [k], 'scores') };
      candidates.push(found);
      slots.push(new Sequence(model, { ...sequenceOptions, chooser: candidateChooser(model, found) }));
    }
    await prefillBeams(model, inputs, slots, candidates, options.signal);
    options.onPrefilled?.();

    for (const slot of slots) slot.recordStep(pass);
    const readBacks = candidates.map(({ ids, logProbs }) => [pass.readBack(ids), pass.readBack(logProbs)]);
    let slotOfBeam = slots.map((_, slot) => slot);
    let found = await Promise.all(candidates.map(({ ids, logProbs }) => readNow(ids, logProbs)));
    for (let length = inputs.inputIds.length; ; length++) {
      throwIfAborted(options.signal);
      const parents = scorer.advance(slotOfBeam.map((slot) => found[slot]));
      if (parents === null) return scorer.best();
      slotOfBeam = moveCaches(
        parents.map((beam) => slotOfBeam[beam]),
        length,
      );
      for (const [beam, slot] of slotOfBeam.entries()) {
        const token = Uint32Array.of(scorer.beams[beam].at(-1) as number);
        writePiece(gpu, slots[slot].token.pieces[0], 0, new Uint8Array(token.buffer));
        slots[slot].setStart(length);
      }
      await pass.submit();
      found = await Promise.all(readBacks.map(readCandidates));
    }
  } finally {
    await pass.destroy();
    for (const slot of slots) await slot.destroy();
    await freeTensors(
      gpu,
      candidates.flatMap(({ ids, logProbs }) => [ids, logProbs]),
    );
  }

  async function readNow(ids: Tensor, logProbs: Tensor) {
    return { ids: await readTensor(gpu, ids), logProbs: await readTensor(gpu, logProbs) };
  }

  /**
   * Gives each new beam a slot that holds its parent's cache: the parent's own for its first child, else one of a beam that
   * has no child, into which the cache is copied.
   *
   * @param parents slot of each new beam's parent
   * @returns slot of each new beam
   */
  function moveCaches(parents: readonly number[], length: number): number[] {
    const spare = slots.map((_, slot) => slot).filter((slot) => !parents.includes(slot));
    const moves = parents.map((parent, beam) => ({
      from: parent,
      to: parents.indexOf(parent) === beam ? parent : (spare.pop() as number),
    }));
    const copies = moves.filter(({ from, to }) => from !== to);
    copyRanges(
      gpu,
      copies.flatMap(({ from, to }) => [...slots[from].cache.copiesTo(slots[to].cache, length)]),
    );
    return moves.map(({ to }) => to);
  }
}

async function readCandidates([ids, logProbs]: readonly ReadBack[]) {
  return { ids: await ids.read(), logProbs: await logProbs.read() };
}

/** Leaves the choice to the host: offers the best tokens and their log-probabilities. */
function candidateChooser({ kernels }: ModelParts, { ids, logProbs }: Candidates): TokenChooser {
  return {
    record(pass, logits) {
      kernels.logSoftmax(pass, { scores: logits });
      kernels.topK(pass, { scores: logits, ids, values: logProbs });
    },
    setLength() {},
    async destroy() {},
  };
}

/** One prefill for all beams, copied to each; or one each, where the published code gives each other features. */
async function prefillBeams(
  { gpu, config }: ModelParts,
  { inputIds, images, quirks }: BeamSearchInputs,
  slots: readonly Sequence[],
  candidates: readonly Candidates[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const features = inputIds.filter((id) => id === config.llm.imagePatchToken).length;
  if (quirks === 'reference' && features > 0) {
    for (const [beam, slot] of slots.entries()) {
      // QUIRK(scrambled-beams): the features are repeated row by row for all beams, then dealt out beam by beam.
      const featureOrder = Uint32Array.from({ length: features }, (_, i) =>
        Math.floor((beam * features + i) / slots.length),
      );
      await slot.prefill(inputIds, images, { signal, featureOrder });
    }
    return;
  }
  await slots[0].prefill(inputIds, images, { signal });
  for (const [slot, { cache }] of slots.entries()) {
    if (slot === 0) continue;
    copyRanges(gpu, [
      ...slots[0].cache.copiesTo(cache, inputIds.length),
      {
        from: candidates[0].ids,
        to: candidates[slot].ids,
        byteOffset: 0,
        bytes: 4 * candidates[0].ids.shape[0],
      },
      {
        from: candidates[0].logProbs,
        to: candidates[slot].logProbs,
        byteOffset: 0,
        bytes: 4 * candidates[0].ids.shape[0],
      },
    ]);
  }
}
