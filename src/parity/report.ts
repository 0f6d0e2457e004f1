/** What a comparison with golden cases reports. */

/** One stage of a case. */
export interface ParityRow {
  /** The tap's name, or the integer or text that was compared. */
  readonly stage: string;
  readonly shape: readonly number[];
  readonly maxAbs: number;
  /** `maxAbs` over the largest expected value. */
  readonly maxRel: number;
  readonly tolerance: string;
  readonly ok: boolean;
  /** Where it differs most, when it differs too much. */
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
