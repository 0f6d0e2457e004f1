/** `m2 parity`: compares the model with golden cases of the published code, stage by stage. */
import { openGpu } from '../gpu/device.ts';
import type { CaseReport, ParityRow } from '../parity/report.ts';
import { runParity } from '../parity/runParity.node.ts';
import type { Command } from './command.ts';
import { nonEmptyPath, oneOf, parseFlags, UsageError } from './options.node.ts';
import { columns } from './text.ts';

const HELP = `m2 parity --goldens DIR [--case CHECKPOINT/NAME] [--kernel-set NAME]

Runs golden cases, compares every stage with the results of the published code, and names the first
stage that differs. Exits with 1 if a case fails.

  --goldens DIR             folder with cases/ and checkpoints/, e.g. test/goldens
  --case CHECKPOINT/NAME    only this case
  --kernel-set NAME         fast (default) or plain kernels
  --json                    the reports as one JSON list instead of tables
`;

const FLAGS = {
  goldens: { type: 'string' },
  case: { type: 'string' },
  'kernel-set': { type: 'string' },
  json: { type: 'boolean' },
} as const;

export const parity: Command = { help: HELP, run };

async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parseFlags(args, FLAGS);
  if (positionals.length > 0) {
    throw new UsageError(`parity takes flags only, got ${JSON.stringify(positionals[0])}`);
  }
  const goldens = nonEmptyPath('--goldens', values.goldens);
  const kernelSet = oneOf('--kernel-set', values['kernel-set'], ['fast', 'plain']);
  if (goldens === undefined) throw new UsageError('--goldens is missing; give the folder of golden cases');

  const gpu = await openGpu();
  try {
    process.stderr.write(`adapter: ${gpu.description}\n`);
    const reports = await runParity(goldens, {
      case: values.case,
      kernelSet,
      gpu,
      onCase(report) {
        if (!values.json) process.stdout.write(describeCase(report));
        signal.throwIfAborted(); // an error thrown here ends the run and frees the model
      },
    });
    const failed = reports.filter(({ ok }) => !ok).length;
    const summary = `${reports.length - failed} passed, ${failed} failed\n`;
    process.stdout.write(values.json ? `${JSON.stringify(reports)}\n` : summary);
    return failed === 0 && reports.length > 0 ? 0 : 1; // comparing nothing proves nothing
  } finally {
    gpu.destroy();
  }
}

function describeCase(report: CaseReport): string {
  const header = ['stage', 'shape', 'max abs error', 'max rel error', 'tolerance', 'verdict'];
  const lines = [`${report.case}: ${report.ok ? 'passed' : 'FAILED'}\n`];
  if (report.note) lines.push(`  note: ${report.note}\n`);
  lines.push(columns([header, ...report.rows.map(tableRow)], [2, 3], '  '));
  if (report.firstDivergence !== null) {
    const detail = report.rows.find(({ ok }) => !ok)?.detail;
    lines.push(`  first stage that differs: ${report.firstDivergence}${detail ? `, ${detail}` : ''}\n`);
  }
  return `${lines.join('')}\n`;
}

function tableRow({ stage, shape, maxAbs, maxRel, tolerance, ok }: ParityRow): string[] {
  const verdict = ok ? 'ok' : 'DIFFERS';
  return [stage, `[${shape.join(', ')}]`, formatError(maxAbs), formatError(maxRel), tolerance, verdict];
}

function formatError(error: number): string {
  return error === 0 ? '0' : error.toExponential(2);
}
