import { GenerationError } from '../../errors.ts';

/** Gives the pieces of text to the reader as they come. */
export type PushText = (piece: string) => void;

/**
 * Text as it is generated, and the result at the end. The work starts at once, whether somebody reads or not; leaving the
 * loop (`break`) stops it.
 */
export class GenerationStream<Result> implements AsyncIterable<string> {
  /** Resolves at the end; rejects with the error that ended it. */
  readonly result: Promise<Result>;
  readonly #pieces: string[] = [];
  readonly #leave = new AbortController();
  #ended = false;
  #wake: () => void = () => {};

  /** @param work generates until `left` is aborted, pushing text */
  constructor(work: (push: PushText, left: AbortSignal) => Promise<Result>) {
    this.result = work((piece) => {
      if (piece !== '') this.#pieces.push(piece);
      this.#wake();
    }, this.#leave.signal).finally(() => {
      this.#ended = true;
      this.#wake();
    });
    this.result.catch(() => {}); // the reader of the stream sees the error too: it is never unhandled
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
      await this.result; // throws what ended the work
    } finally {
      this.#leave.abort();
      await this.result.catch(() => {});
    }
  }
}

/** Turns an AbortSignal's reason into this library's error. @throws GenerationError GEN_ABORTED */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new GenerationError('GEN_ABORTED', 'generation was aborted', { cause: signal.reason });
}
