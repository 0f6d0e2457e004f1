/** The public names that need Node: `m2-reasoning/node`. */

// Checkpoint folders
export { folderFiles } from './model/checkpoint/checkpointFolder.node.ts';

// Tunings, kept in the user's cache folder
export { forgetTuning, readTuning, writeTuning } from './model/fast/tuning/tuningCache.node.ts';

// Golden cases
export { compareWith } from './parity/compareWith.node.ts';
export { type GoldenCase, listCases, readCase } from './parity/golden.node.ts';
export type { CaseReport, ParityRow } from './parity/report.ts';
export { checkpointFiles, type ParityOptions, runParity } from './parity/runParity.node.ts';
