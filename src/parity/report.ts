/** The report of a comparison with golden cases. */

/** One stage of a case. */
export interface ParityRow {
  /** The name of the tap, or of the compared integers or text. */
  readonly stage: string;
  readonly shape: readonly number[];
  readonly maxAbs: number;
  /** `maxAbs` divided by the largest expected magnitude. */
  readonly maxRel: number;
  readonly tolerance: string;
  readonly ok: boolean;
  /** The largest difference, if the stage is over tolerance. */
  readonly detail?: string;
}

export interface CaseReport {
  /** `CHECKPOINT/NAME` */
  readonly case: string;
  readonly rows: readonly ParityRow[];
  /** The first stage that differs, in the order of the computation. */
  readonly firstDivergence: string | null;
  readonly ok: boolean;
  readonly note?: string;
}
