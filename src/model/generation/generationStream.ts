import { GenerationError } from '../../errors.ts';

/** Passes a piece of text to the reader. */
export type PushText = (piece: string) => void;

/**
 * A stream of text while it is generated, and the result at the end. The work starts at once, even without a reader. Leaving
 * the loop (`break`) stops it.
 */
export class GenerationStream<Result> implements AsyncIterable<string> {
  /** Resolves when the answer is complete; rejects with the error that ended it. */
  readonly result: Promise<Result>;
  readonly #pieces: string[] = [];
  readonly #leave = new AbortController();
  #ended = false;
  #wake: () => void = () => {};

  /** @param work generates and pushes text until it is done or `left` is aborted */
  constructor(work: (push: PushText, left: AbortSignal) => Promise<Result>) {
    this.result = work((piece) => {
      if (piece !== '') this.#pieces.push(piece);
      this.#wake();
    }, this.#leave.signal).finally(() => {
      this.#ended = true;
      this.#wake();
    });
    this.result.catch(() => {}); // not an unhandled rejection: a reader of the stream gets the error too
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, undefined> {
    try {
      while (true) {
        while (this.#pieces.length > 0) yield this.#pieces.shift() as string;
        if (this.#ended) break;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      await this.result; // throws the error that ended the work
    } finally {
      this.#leave.abort();
      await this.result.catch(() => {});
    }
  }
}

/** @throws GenerationError GEN_ABORTED if `signal` is aborted; its reason is the `cause` */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new GenerationError('GEN_ABORTED', 'generation was aborted', { cause: signal.reason });
}
