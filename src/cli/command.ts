/** One sub-command of `m2`. */
export interface Command {
  /** What `m2 COMMAND --help` prints. */
  readonly help: string;
  /**
   * @param args what stands behind the command's name
   * @param signal aborted when the person or the reader of stdout has left
   * @returns the exit code
   */
  run(args: readonly string[], signal: AbortSignal): Promise<number>;
}
