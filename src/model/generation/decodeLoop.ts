/** The decode loop: how many steps run per wait, and when a draft is tried instead. docs/MODEL.md, section 7. */
import type { ModelParts } from '../graph/modelParts.ts';
import { Pace } from './pace.ts';
import { PromptLookup } from './promptLookup.ts';
import { MAX_STEPS, Sequence, type SequenceOptions } from './sequence.ts';
import type { ChosenToken } from './tokenChooser.ts';

/** The work done in one wait for the GPU. */
export interface DecodeEvent {
  /** Decoder passes. */
  readonly passes: number;
  /** Number of draft tokens, and how many of them were accepted. */
  readonly drafted: number;
  readonly accepted: number;
}

export interface DecodeOptions {
  /** Maximum number of tokens, including the one from the prefill. */
  readonly room: number;
  /** 1 to 64; null: as many as take about 20 ms. */
  readonly stepsPerWait: number | null;
  /** The prompt's ids, for looking up drafts; null: no drafts. */
  readonly lookupIds: readonly number[] | null;
  readonly onPrefilled: () => void;
  readonly onDecoded: (event: DecodeEvent) => void;
}

/** Generates the tokens of one answer until the consumer stops or `room` is used up. @throws as `Sequence.prefill` and `decode` */
export async function* decodedTokens(
  model: ModelParts,
  sequenceOptions: SequenceOptions,
  prefill: (sequence: Sequence) => Promise<ChosenToken>,
  { room, stepsPerWait, lookupIds, onPrefilled, onDecoded }: DecodeOptions,
): AsyncGenerator<ChosenToken, void, undefined> {
  const sequence = new Sequence(model, sequenceOptions);
  const lookup = lookupIds && new PromptLookup(lookupIds);
  const pace = new Pace(sequenceOptions.changeLogits ? 1 : stepsPerWait);
  try {
    const first = await prefill(sequence);
    onPrefilled();
    yield first;
    lookup?.add([first.id], 0);
    for (let left = room - 1; left > 0; ) {
      const draft = (sequence.canVerify && lookup?.draft(left - 1)) || [];
      let tokens: readonly ChosenToken[];
      if (draft.length > 0) {
        tokens = (await sequence.verify(draft)).map((id) => ({ id, reports: [] }));
        onDecoded({ passes: 1, drafted: draft.length, accepted: tokens.length - 1 });
      } else {
        const steps = Math.min(pace.steps, left, Math.max(1, lookup?.pause ?? MAX_STEPS));
        tokens = await pace.timed(steps, sequence.decode(steps));
        onDecoded({ passes: steps, drafted: 0, accepted: 0 });
      }
      left -= tokens.length;
      lookup?.add(
        tokens.map(({ id }) => id),
        draft.length,
      );
      yield* tokens;
    }
  } finally {
    await sequence.destroy();
  }
}
