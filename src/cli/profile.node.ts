/** `m2 profile`: shows how long each kernel takes in a prefill and in a decode step. */
import { type FileHandle, open } from 'node:fs/promises';
import { InputError } from '../errors.ts';
import { openGpu } from '../gpu/device.ts';
import { measureAdapter } from '../gpu/measure/measureAdapter.ts';
import { joinProfiles, type Profile, profilePass } from '../gpu/measure/profilePass.ts';
import { positionTokens } from '../model/generation/preparePrompt.ts';
import { positionsFor } from '../model/graph/positions.ts';
import { M2Reasoning } from '../model/m2Reasoning.ts';
import { loadImage } from '../processor/image/imageSource.ts';
import type { Message } from '../processor/text/messages.ts';
import { BUNDLED_MODEL, firstExample } from './bundledModel.node.ts';
import type { Command } from './command.ts';
import { nonEmptyPath, oneOf, parseFlags, positiveInteger, UsageError } from './options.node.ts';
import { openProgress } from './progress.node.ts';
import { rooflineSvg, short } from './roofline.ts';
import { columns } from './text.ts';

const HELP = `m2 profile [--model DIR] [--image FILE] [--prompt TEXT]

Runs a prompt and one decode step, then each of their passes repeatedly with GPU timestamps around
every dispatch. Prints a table of kernels for the prompt and one for the decode step.

  --model DIR          checkpoint folder; default: the bundled m2-tiny
  --image FILE         PNG or JPEG before the prompt
  --prompt TEXT        default: the bundled example's, with its image unless --image is given
  --kernel-set NAME    fast (default) or plain kernels
  --repeat N           runs of each pass; default: as many as fit in a second, at most 200
  --json               one JSON object instead of tables
  --svg FILE           also draws the kernels under the adapter's measured roofline
`;

const FLAGS = {
  model: { type: 'string' },
  image: { type: 'string' },
  prompt: { type: 'string' },
  'kernel-set': { type: 'string' },
  repeat: { type: 'string' },
  json: { type: 'boolean' },
  svg: { type: 'string' },
} as const;

export const profile: Command = { help: HELP, run };

async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parseFlags(args, FLAGS);
  if (positionals.length > 0) {
    throw new UsageError(`profile takes flags only, got ${JSON.stringify(positionals[0])}`);
  }
  const folder = nonEmptyPath('--model', values.model) ?? BUNDLED_MODEL;
  const kernelSet = oneOf('--kernel-set', values['kernel-set'], ['fast', 'plain']) ?? 'fast';
  const repetitions = positiveInteger('--repeat', values.repeat);
  const svgPath = nonEmptyPath('--svg', values.svg);
  const messages = await messagesOf(nonEmptyPath('--image', values.image), values.prompt);
  const svg = svgPath === undefined ? null : await openSvg(svgPath);

  const progress = openProgress(false);
  const gpu = await openGpu().catch(async (error) => {
    await svg?.close();
    throw error;
  });
  try {
    progress.line(`adapter: ${gpu.description}`);
    const onProgress = () => signal.throwIfAborted(); // an error thrown here ends the load
    const model = await M2Reasoning.load(folder, { gpu, kernelSet, onProgress });
    for (const warning of model.warnings) progress.line(`warning: ${warning}`);
    const { promptTokens, prefill, decode } = await profileModel(model, messages, repetitions, signal);
    await model.destroy();

    const rates = svg && (await measureAdapter(gpu));
    if (rates) {
      const series = [
        { name: `prefill of ${promptTokens} tokens`, rows: prefill.rows },
        { name: 'decode step', rows: decode.rows },
      ];
      await svg?.writeFile(rooflineSvg(gpu.description, series, rates));
    }
    const adapter = gpu.description;
    process.stdout.write(
      values.json
        ? `${JSON.stringify({ adapter, model: folder, kernelSet, promptTokens, prefill, decode, rates })}\n`
        : `${table(`prefill of ${promptTokens} tokens`, prefill)}\n${table('decode step', decode)}\non ${adapter}\n`,
    );
    return 0;
  } finally {
    gpu.destroy();
    await svg?.close();
  }
}

async function messagesOf(imagePath: string | undefined, prompt: string | undefined): Promise<Message[]> {
  const example = await firstExample();
  const isExample = imagePath === undefined && prompt === undefined;
  const path = isExample ? example.image : imagePath;
  const text = prompt ?? example.question;
  const image =
    path === undefined ? [] : [{ type: 'image' as const, image: await loadImage(path, '--image') }];
  const asked: Message = { role: 'user', content: [...image, { type: 'text', text }] };
  return isExample ? [{ role: 'system', content: example.system }, asked] : [asked];
}

/** Profiles a prompt and one decode step, as `generate` runs them. */
async function profileModel(
  model: M2Reasoning,
  messages: readonly Message[],
  repetitions: number | undefined,
  signal: AbortSignal,
): Promise<{ promptTokens: number; prefill: Profile; decode: Profile }> {
  const { inputIds, images } = await model.prepare(messages, { signal });
  const { rope } = model.config.llm;
  const positions = positionsFor(rope, inputIds, images, positionTokens(model), 'reference');
  const profiles: Profile[] = [];
  await model.forward(
    { inputIds, images, positions },
    {
      steps: 2, // one token from the prefill, one from a decode step
      onPass: async (pass) => {
        profiles.push(await profilePass(pass, { repetitions, signal }));
      },
    },
  );
  const decode = profiles.pop() as Profile;
  return { promptTokens: inputIds.length, prefill: joinProfiles(profiles), decode };
}

function table(name: string, { rows, dispatches, us, wallUs, repetitions, resolutionUs }: Profile): string {
  const head = ['kernel', 'dispatches', 'µs', 'share', 'GB/s', 'GFLOP/s'];
  const cells = rows.map((row) => [
    row.kernel,
    String(row.dispatches),
    row.us.toFixed(1),
    `${(100 * row.share).toFixed(1)} %`,
    short(row.gbPerS),
    short(row.gflopPerS),
  ]);
  const sum = ['all', String(dispatches), us.toFixed(1)];
  const overhead = (us - wallUs) / dispatches;
  return [
    `${name}, mean of ${repetitions} runs\n`,
    columns([head, ...cells, sum], [1, 2, 3, 4, 5], '  '),
    `  without timestamps a run takes ${wallUs.toFixed(1)} µs by the host's clock`,
    overhead > 0 ? `: a dispatch timed by itself takes ${overhead.toFixed(1)} µs longer\n` : '\n',
    `  the GPU's clock has a resolution of ${short(resolutionUs)} µs\n`,
  ].join('');
}

/** Opens the file before the model is loaded, to report a wrong path immediately. @throws InputError INPUT_FILE */
async function openSvg(path: string): Promise<FileHandle> {
  return open(path, 'w').catch((cause) => {
    const message = `--svg (${path}): can't be written (${cause.code ?? cause.message})`;
    throw new InputError('INPUT_FILE', message, { file: path, hint: 'check the folder', cause });
  });
}
