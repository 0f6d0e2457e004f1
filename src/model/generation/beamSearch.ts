/** Beam search on the GPU. Every beam has its own KV cache; when beams split or end, caches are copied on the GPU. */

import { copyRanges } from '../../gpu/copyRanges.ts';
import type { Gpu } from '../../gpu/device.ts';
import { Pass, type ReadBack } from '../../gpu/pass.ts';
import { freeTensors, readTensor, type Tensor, writePiece, zeros } from '../../gpu/tensor.ts';
import type { PreprocessedImage } from '../../processor/patches.ts';
import { cacheCopies } from '../graph/cacheCopies.ts';
import type { ModelParts } from '../graph/modelParts.ts';
import { type BeamOptions, BeamScorer, type Hypothesis } from './beamScorer.ts';
import { throwIfAborted } from './generationStream.ts';
import { LogitsProcessors, type ProcessorOptions } from './logitsProcessors.ts';
import { Sequence, type SequenceOptions } from './sequence.ts';
import type { ChosenToken, TokenChooser } from './tokenChooser.ts';

export interface BeamSearchInputs {
  readonly inputIds: readonly number[];
  readonly images: readonly PreprocessedImage[];
  /** 'reference': every beam gets the image features in a different, wrong order, as in the published code. */
  readonly quirks: 'reference' | 'fixed';
}

export interface BeamSearchOptions extends BeamOptions {
  readonly processors: ProcessorOptions;
  readonly signal?: AbortSignal;
  readonly onPrefilled?: () => void;
}

/** The GPU state of one beam. */
interface Slot {
  readonly sequence: Sequence;
  readonly processors: LogitsProcessors;
  /** The most likely next tokens. */
  readonly ids: Tensor; // [k] u32
  readonly logProbs: Tensor; // [k] f32, after the processors
}

/**
 * Searches for the most probable answer with `numBeams` beams.
 *
 * @returns the answer's tokens, including its end token, and its score
 * @throws GenerationError GEN_ABORTED; KernelError; GpuError
 * Follows: transformers 4.49, generation/utils.py, _beam_search
 */
export async function beamSearch(
  model: ModelParts,
  inputs: BeamSearchInputs,
  sequenceOptions: Pick<SequenceOptions, 'context' | 'positions' | 'videoRope'>,
  options: BeamSearchOptions,
): Promise<Hypothesis> {
  const { gpu, config } = model;
  const scorer = new BeamScorer(options);
  const k = Math.min(scorer.candidatesPerStep, config.llm.vocabSize);
  const prompt = {
    inputIds: inputs.inputIds,
    context: sequenceOptions.context,
    endTokens: options.endTokens,
  };
  const slots: Slot[] = [];
  const pass = new Pass(gpu, 'beams');
  try {
    while (slots.length < options.numBeams) {
      const ids = zeros(gpu, 'u32', [k], 'candidates');
      const logProbs = zeros(gpu, 'f32', [k], 'log-probabilities');
      const processors = new LogitsProcessors(model, options.processors, prompt);
      const chooser = candidateChooser(model, { processors, ids, logProbs });
      const sequence = new Sequence(model, { ...sequenceOptions, chooser });
      slots.push({ sequence, processors, ids, logProbs });
    }
    await prefillBeams(model, inputs, slots, options.signal);
    options.onPrefilled?.();

    for (const { sequence } of slots) sequence.recordStep(pass);
    const readBacks = slots.map(({ ids, logProbs }) => [pass.readBack(ids), pass.readBack(logProbs)]);
    let slotOfBeam = slots.map((_, slot) => slot);
    let found = await Promise.all(slots.map((slot) => readNow(gpu, slot)));
    for (let length = inputs.inputIds.length; ; length++) {
      throwIfAborted(options.signal);
      const parents = scorer.advance(slotOfBeam.map((slot) => found[slot]));
      if (parents === null) return scorer.best();
      slotOfBeam = moveSlots(
        gpu,
        slots,
        parents.map((beam) => slotOfBeam[beam]),
        length,
      );
      for (const [beam, slot] of slotOfBeam.entries()) {
        const { sequence } = slots[slot];
        const token = Uint32Array.of(scorer.beams[beam].at(-1) as number);
        writePiece(gpu, sequence.token.pieces[0], 0, new Uint8Array(token.buffer));
        sequence.setStart(length);
      }
      await pass.submit();
      found = await Promise.all(readBacks.map(readCandidates));
    }
  } finally {
    await pass.destroy();
    for (const { sequence } of slots) await sequence.destroy(); // also destroys its processors
    await freeTensors(
      gpu,
      slots.flatMap(({ ids, logProbs }) => [ids, logProbs]),
    );
  }
}

/** Yields the tokens of a beam search, all at its end, because none of them is certain before. */
export async function* beamTokens(
  ...search: Parameters<typeof beamSearch>
): AsyncGenerator<ChosenToken, void, undefined> {
  for (const id of (await beamSearch(...search)).tokens) yield { id, reports: [] };
}

/**
 * Assigns each new beam a slot with its parent's state. A parent's first child keeps the parent's slot. Each further child gets
 * the slot of a beam without children, into which the state is copied.
 *
 * @param parents for each new beam, its parent's slot
 * @param length number of tokens in the caches
 * @returns the slot of each new beam
 */
function moveSlots(gpu: Gpu, slots: readonly Slot[], parents: readonly number[], length: number): number[] {
  const spare = slots.map((_, slot) => slot).filter((slot) => !parents.includes(slot));
  const moves = parents.map((parent, beam) => ({
    from: parent,
    to: parents.indexOf(parent) === beam ? parent : (spare.pop() as number),
  }));
  const copies = moves.filter(({ from, to }) => from !== to);
  copyRanges(
    gpu,
    copies.flatMap(({ from, to }) => [
      ...cacheCopies(slots[from].sequence.cache, slots[to].sequence.cache, length),
      ...slots[from].processors.copiesTo(slots[to].processors),
    ]),
  );
  return moves.map(({ to }) => to);
}

async function readNow(gpu: Gpu, { ids, logProbs }: Slot) {
  return { ids: await readTensor(gpu, ids), logProbs: await readTensor(gpu, logProbs) };
}

async function readCandidates([ids, logProbs]: readonly ReadBack[]) {
  return { ids: await ids.read(), logProbs: await logProbs.read() };
}

/** Leaves the choice to the host and only finds the most likely tokens with their log-probabilities. */
function candidateChooser(
  { kernels }: ModelParts,
  { processors, ids, logProbs }: Omit<Slot, 'sequence'>,
): TokenChooser {
  return {
    process(pass, logits, token) {
      kernels.logSoftmax(pass, { scores: logits });
      processors.record(pass, logits, token); // on log-probabilities, as in the published code
    },
    choose: (pass, logits) => void kernels.topK(pass, { scores: logits, ids, values: logProbs }),
    setLength: (length) => processors.setLength(length),
    destroy: () => processors.destroy(),
  };
}

/** Prefills once and copies the result to all beams. With 'reference' and images each beam needs its own prefill instead. */
async function prefillBeams(
  { gpu, config }: ModelParts,
  { inputIds, images, quirks }: BeamSearchInputs,
  slots: readonly Slot[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const features = inputIds.filter((id) => id === config.llm.imagePatchToken).length;
  if (quirks === 'reference' && features > 0) {
    for (const [beam, { sequence }] of slots.entries()) {
      // QUIRK(scrambled-beams): the features are repeated row by row for all beams, then split beam by beam.
      const featureOrder = Uint32Array.from({ length: features }, (_, i) =>
        Math.floor((beam * features + i) / slots.length),
      );
      await sequence.prefill(inputIds, images, { signal, featureOrder });
    }
    return;
  }
  const [first, ...others] = slots;
  await first.sequence.prefill(inputIds, images, { signal });
  const candidates = { byteOffset: 0, bytes: 4 * first.ids.shape[0] };
  for (const { sequence, ids, logProbs } of others) {
    copyRanges(gpu, [
      ...cacheCopies(first.sequence.cache, sequence.cache, inputIds.length),
      { from: first.ids, to: ids, ...candidates },
      { from: first.logProbs, to: logProbs, ...candidates },
    ]);
  }
}
