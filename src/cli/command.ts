/** A subcommand of `m2`. */
export interface Command {
  /** The output of `m2 COMMAND --help`. */
  readonly help: string;
  /**
   * @param args the arguments after the command's name
   * @param signal aborted by Ctrl-C, or when stdout is closed
   * @returns the exit code
   */
  run(args: readonly string[], signal: AbortSignal): Promise<number>;
}
