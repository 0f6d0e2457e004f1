/** Lines from stdin: typed by a person at a prompt, or a script from a pipe or a file. */
import { createInterface, type Interface } from 'node:readline';

/** What of stdin and stderr is needed; tests give their own. */
export interface LineStreams {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** Holds stdin until it is closed. Lines that come while nobody asks for one wait. */
export class LineInput {
  /** Whether a person types: there is a prompt then, and Ctrl-C may stop an answer. */
  readonly isTerminal: boolean;
  /** What Ctrl-C stops while an answer runs; null: it goes to the process, like any other. */
  onInterrupt: (() => void) | null = null;
  readonly #interface: Interface;
  readonly #lines: AsyncIterator<string>;
  readonly #signal: AbortSignal;
  readonly #streams: LineStreams;
  #closed = false;

  /** @param signal closes the input once it is aborted; there are no more lines then */
  constructor(signal: AbortSignal, streams: LineStreams = process) {
    const { stdin, stderr } = streams;
    this.isTerminal = stdin.isTTY === true;
    this.#signal = signal;
    this.#streams = streams;
    this.#interface = createInterface({
      input: stdin,
      output: this.isTerminal ? stderr : undefined,
      terminal: this.isTerminal && stderr.isTTY === true, // without it the terminal edits lines itself
      prompt: '> ',
      crlfDelay: Number.POSITIVE_INFINITY,
    });
    this.#lines = this.#interface[Symbol.asyncIterator](); // now: it has the lines from here on only
    this.#interface.on('close', () => {
      this.#closed = true;
    });
    // readline takes the terminal's Ctrl-C away from the process.
    this.#interface.on('SIGINT', () => (this.onInterrupt ?? interruptProcess)());
    signal.addEventListener('abort', () => this.close(), { once: true });
    if (signal.aborted) this.close();
  }

  /** Shows the prompt, if a person types. @returns undefined at the end */
  async next(): Promise<string | undefined> {
    const prompts = this.isTerminal && !this.#closed;
    if (prompts) this.#interface.prompt(true); // true: what was typed ahead keeps its cursor
    const { value, done } = await this.#lines.next();
    const isOver = done || this.#signal.aborted;
    if (isOver && prompts) this.#streams.stderr.write('\n'); // the prompt stands on the last line
    return isOver ? undefined : value;
  }

  /** Gives stdin back, so that the process can end. Safe to call twice. */
  close(): void {
    if (!this.#closed) this.#interface.close();
  }
}

function interruptProcess(): void {
  process.kill(process.pid, 'SIGINT');
}
