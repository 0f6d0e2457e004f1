/** Lines from stdin, typed at a prompt or read from a pipe or a file. */
import { createInterface, type Interface } from 'node:readline';

/** The streams in use; tests pass their own. */
export interface LineStreams {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** Reads stdin until it is closed. Lines are queued until `next` is called. */
export class LineInput {
  /** Whether stdin is a terminal: then there is a prompt, and Ctrl-C may stop an answer. */
  readonly isTerminal: boolean;
  /** Called on Ctrl-C while an answer runs; null: Ctrl-C interrupts the process as usual. */
  onInterrupt: (() => void) | null = null;
  readonly #interface: Interface;
  readonly #lines: AsyncIterator<string>;
  readonly #signal: AbortSignal;
  readonly #streams: LineStreams;
  #closed = false;

  /** @param signal closes the input when aborted */
  constructor(signal: AbortSignal, streams: LineStreams = process) {
    const { stdin, stderr } = streams;
    this.isTerminal = stdin.isTTY === true;
    this.#signal = signal;
    this.#streams = streams;
    this.#interface = createInterface({
      input: stdin,
      output: this.isTerminal ? stderr : undefined,
      terminal: this.isTerminal && stderr.isTTY === true, // otherwise the terminal edits lines itself
      prompt: '> ',
      crlfDelay: Number.POSITIVE_INFINITY,
    });
    this.#lines = this.#interface[Symbol.asyncIterator](); // now, because it misses earlier lines
    this.#interface.on('close', () => {
      this.#closed = true;
    });
    // readline intercepts the terminal's Ctrl-C.
    this.#interface.on('SIGINT', () => (this.onInterrupt ?? interruptProcess)());
    signal.addEventListener('abort', () => this.close(), { once: true });
    if (signal.aborted) this.close();
  }

  /** Shows the prompt on a terminal and waits for a line. @returns the line; undefined at the end */
  async next(): Promise<string | undefined> {
    const prompts = this.isTerminal && !this.#closed;
    if (prompts) this.#interface.prompt(true); // true keeps the cursor position in text typed ahead
    const { value, done } = await this.#lines.next();
    const isOver = done || this.#signal.aborted;
    if (isOver && prompts) this.#streams.stderr.write('\n'); // leaves the line with the prompt
    return isOver ? undefined : value;
  }

  /** Releases stdin, so that the process can exit. Safe to call twice. */
  close(): void {
    if (!this.#closed) this.#interface.close();
  }
}

function interruptProcess(): void {
  process.kill(process.pid, 'SIGINT');
}
