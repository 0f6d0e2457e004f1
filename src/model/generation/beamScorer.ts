/** The bookkeeping of beam search, without a model: which beams continue and which answers are kept. */

/** A possible next token of a beam. */
export interface BeamCandidate {
  readonly beam: number;
  readonly token: number;
  /** Sum of log-probabilities up to and including this token, float32. */
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
  /** true: the search ends once there are numBeams answers; false: once no beam can still get better than these. */
  readonly earlyStopping: boolean;
}

const NOT_YET = -1e9; // all beams are equal at first, so only the first one may count in the first step

/**
 * The beams of one search. Call `advance` with the candidates of each step until it returns null, then call `best`.
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

  /** The number of candidates considered in a step. Each beam must offer as many. */
  get candidatesPerStep(): number {
    return Math.max(2, 1 + this.#options.endTokens.length) * this.#options.numBeams;
  }

  /**
   * Continues with the best candidates of all beams.
   *
   * @param candidates for each beam: token ids and their log-probabilities (after the processors)
   * @returns for each new beam, the index of the old beam that it continues; null if the search is over
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
      // As in the reference, an end token ranked below the best numBeams candidates is dropped.
      else if (rank < numBeams) this.#keep(this.beams[candidate.beam], candidate.score, length);
    }
    this.beams = next.map(({ beam, token }) => [...this.beams[beam], token]);
    this.scores = next.map(({ score }) => score);
    const over = this.#isDone(ranked[0].score, length) || length === maxNewTokens;
    return over ? null : next.map(({ beam }) => beam);
  }

  /** The best answer. It ends with an end token unless it has the maximum length. */
  best(): Hypothesis {
    const length = this.beams[0].length;
    if (!this.#isDone(Math.max(...this.scores), length)) {
      for (const [beam, tokens] of this.beams.entries()) this.#keep(tokens, this.scores[beam], length);
    }
    const best = this.#kept.reduce((a, b) => (b.score >= a.score ? b : a)); // the last of equal ones, like sorted().pop()
    const { maxNewTokens, endTokens } = this.#options;
    return best.tokens.length < maxNewTokens ? { ...best, tokens: [...best.tokens, endTokens[0]] } : best;
  }

  /** Sorts candidates best first. Equal scores are ordered by beam, then as the beam gave them. */
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
