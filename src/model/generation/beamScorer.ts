/** Which beams go on and which answers are kept: the bookkeeping of beam search, without a model. */

/** A possible next token of a beam. */
export interface BeamCandidate {
  readonly beam: number;
  readonly token: number;
  /** Sum of log-probabilities up to and with this token, float32. */
  readonly score: number;
}

/** A finished answer. */
export interface Hypothesis {
  readonly tokens: readonly number[];
  /** Sum of log-probabilities / length ^ lengthPenalty. */
  readonly score: number;
}

export interface BeamOptions {
  readonly numBeams: number;
  readonly maxNewTokens: number;
  readonly endTokens: readonly number[];
  /** Above 0 favours long answers, below 0 short ones. */
  readonly lengthPenalty: number;
  /** true: ends as soon as there are numBeams answers; false: as soon as no beam can still get better. */
  readonly earlyStopping: boolean;
}

const NOT_YET = -1e9; // all beams start alike: only the first one counts in the first step

/**
 * The beams of one search. Call `advance` with each step's candidates until it returns null, then `best`.
 *
 * Follows: transformers 4.49, generation/beam_search.py, BeamSearchScorer and BeamHypotheses
 */
export class BeamScorer {
  /** New tokens of each beam. */
  beams: readonly (readonly number[])[];
  /** Sum of log-probabilities of each beam, float32. */
  scores: readonly number[];
  readonly #options: BeamOptions;
  readonly #kept: Hypothesis[] = [];

  constructor(options: BeamOptions) {
    this.#options = options;
    this.beams = Array.from({ length: options.numBeams }, () => []);
    this.scores = Array.from({ length: options.numBeams }, (_, beam) => (beam === 0 ? 0 : NOT_YET));
  }

  /** How many candidates of a step are looked at; each beam must offer as many. */
  get candidatesPerStep(): number {
    return Math.max(2, 1 + this.#options.endTokens.length) * this.#options.numBeams;
  }

  /**
   * Takes the best candidates of all beams.
   *
   * @param candidates of each beam: its tokens and their log-probabilities (after the processors)
   * @returns for each new beam the old one it continues; null when the search is over
   */
  advance(
    candidates: readonly { readonly ids: ArrayLike<number>; readonly logProbs: ArrayLike<number> }[],
  ): number[] | null {
    const { numBeams, endTokens, maxNewTokens } = this.#options;
    const length = this.beams[0].length + 1; // with the new token
    const ranked = this.#rank(candidates);
    const next: BeamCandidate[] = [];
    for (const [rank, candidate] of ranked.entries()) {
      if (next.length === numBeams) break;
      if (!endTokens.includes(candidate.token)) next.push(candidate);
      // An end token below the best numBeams candidates is not worth keeping.
      else if (rank < numBeams) this.#keep(this.beams[candidate.beam], candidate.score, length);
    }
    this.beams = next.map(({ beam, token }) => [...this.beams[beam], token]);
    this.scores = next.map(({ score }) => score);
    const over = this.#isDone(ranked[0].score, length) || length === maxNewTokens;
    return over ? null : next.map(({ beam }) => beam);
  }

  /** The best answer; an end token closes it unless it is as long as allowed. */
  best(): Hypothesis {
    const length = this.beams[0].length;
    if (!this.#isDone(Math.max(...this.scores), length)) {
      for (const [beam, tokens] of this.beams.entries()) this.#keep(tokens, this.scores[beam], length);
    }
    const best = this.#kept.reduce((a, b) => (b.score >= a.score ? b : a)); // of equal ones the later, as sorted().pop()
    const { maxNewTokens, endTokens } = this.#options;
    return best.tokens.length < maxNewTokens ? { ...best, tokens: [...best.tokens, endTokens[0]] } : best;
  }

  /** Best first; of equal scores the lower beam, then the order that the beam gave them in. */
  #rank(
    candidates: readonly { readonly ids: ArrayLike<number>; readonly logProbs: ArrayLike<number> }[],
  ): BeamCandidate[] {
    const all: BeamCandidate[] = [];
    for (const [beam, { ids, logProbs }] of candidates.entries()) {
      for (let i = 0; i < ids.length; i++) {
        all.push({ beam, token: ids[i], score: Math.fround(logProbs[i] + this.scores[beam]) });
      }
    }
    all.sort((a, b) => b.score - a.score); // stable
    return all.slice(0, this.candidatesPerStep);
  }

  #keep(tokens: readonly number[], sumLogProbs: number, length: number): void {
    const { numBeams, lengthPenalty } = this.#options;
    const score = sumLogProbs / length ** lengthPenalty;
    if (this.#kept.length >= numBeams && score <= this.#worst()) return;
    this.#kept.push({ tokens, score });
    if (this.#kept.length > numBeams) {
      const worst = this.#kept.findIndex((kept) => kept.score === this.#worst());
      this.#kept.splice(worst, 1);
    }
  }

  #isDone(bestSumLogProbs: number, length: number): boolean {
    const { numBeams, lengthPenalty, earlyStopping } = this.#options;
    if (this.#kept.length < numBeams) return false;
    return earlyStopping || this.#worst() >= bestSumLogProbs / length ** lengthPenalty;
  }

  #worst(): number {
    return Math.min(...this.#kept.map(({ score }) => score));
  }
}
