/** Runs one golden case through the same code as `generate`, and compares every stage. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tolerance } from '../gpu/declaration.ts';
import { compareArrays } from '../gpu/measure/compare.ts';
import { readTensor, type Tensor } from '../gpu/tensor.ts';
import { positionTokens } from '../model/generation/preparePrompt.ts';
import { type Positions, positionsFor } from '../model/graph/positions.ts';
import { windowLayout } from '../model/graph/windows.ts';
import type { M2Reasoning } from '../model/m2Reasoning.ts';
import { decodeImage, type RgbImage } from '../processor/image/image.ts';
import type { PreparedInputs } from '../processor/processor.ts';
import type { Message } from '../processor/text/messages.ts';
import type { GoldenAnswers, GoldenCase, GoldenTensor } from './golden.node.ts';
import type { CaseReport, ParityRow } from './report.ts';
import { describeTolerance, toleranceOf } from './tolerances.ts';

const EXACT: Tolerance = { abs: 0, rel: 0, reason: 'integers, pixels and text must be identical' };

/**
 * Compares prompt, ids, pixels, windows, positions and greedy ids exactly, and every stored stage within its tolerance.
 *
 * @param imagesDir the folder to which image paths in the messages are relative
 * @param variant the case with the documented answer, for a case on which the published code fails (docs/MODEL.md, section 5)
 * @returns all stages; `firstDivergence` names the first that differs
 * @throws as `M2Reasoning.prepare` and `M2Reasoning.forward`
 */
export async function compareCase(
  model: M2Reasoning,
  golden: GoldenCase,
  imagesDir: string,
  variant?: GoldenCase,
): Promise<CaseReport> {
  const rows: ParityRow[] = [];
  const answered = variant ?? golden;
  const { answers, tensors } = answered;
  const quirks = answers.expansion === 'intended' ? 'fixed' : 'reference';

  const messages = await resolveImages(golden.answers.messages, tensors, imagesDir, rows);
  const prepared = await model.prepare(messages, { quirks });
  comparePrompt(rows, golden.answers, prepared);
  comparePixels(rows, tensors, prepared);
  compareWindows(rows, answers, model, prepared);
  const positions = comparePositions(rows, answers, model, prepared, quirks);

  const stages = new StageCollector(model, tensors);
  const tokens = await model.forward(
    { inputIds: prepared.inputIds, images: prepared.images, positions },
    {
      steps: answers.greedy_ids.length,
      videoRope: answers.behaviour === 'forward-int-scale' ? 'swapped' : 'sections',
      tap: (name, tensor) => stages.collect(name, tensor),
    },
  );
  rows.push(...stages.rows());
  pushExact(rows, 'greedy_ids', tokens, answers.greedy_ids);

  const firstDivergence = rows.find(({ ok }) => !ok)?.stage ?? null;
  const note =
    variant && `the published code fails here (${golden.answers.error?.type}): compared with ${variant.name}`;
  return { case: golden.name, rows, firstDivergence, ok: firstDivergence === null, note };
}

/** Loads the images. PNGs are decoded and compared; for JPEGs the stored pixels are used, because decoders differ by a few levels. */
async function resolveImages(
  messages: readonly Message[],
  tensors: ReadonlyMap<string, GoldenTensor>,
  imagesDir: string,
  rows: ParityRow[],
): Promise<Message[]> {
  let index = 0;
  const resolve = async (path: string): Promise<RgbImage> => {
    const stored = tensors.get(`image${index++}.decoded_rgb`);
    if (stored && path.endsWith('.jpg')) {
      const [height, width] = stored.shape;
      return { height, width, data: stored.data as Uint8Array };
    }
    const image = await decodeImage(await readFile(join(imagesDir, path)), path);
    if (stored) pushExact(rows, `image${index - 1}.decoded_rgb`, image.data, stored.data, stored.shape);
    return image;
  };
  const resolved: Message[] = [];
  for (const message of messages) {
    if (typeof message.content === 'string') {
      resolved.push(message);
      continue;
    }
    const content = [];
    for (const part of message.content) {
      if (part.type !== 'image') content.push(part);
      else if (Array.isArray(part.image)) {
        const images: RgbImage[] = [];
        for (const path of part.image) images.push(await resolve(path as string));
        content.push({ ...part, image: images });
      } else content.push({ ...part, image: await resolve(part.image as string) });
    }
    resolved.push({ ...message, content });
  }
  return resolved;
}

function comparePrompt(rows: ParityRow[], answers: GoldenAnswers, prepared: PreparedInputs): void {
  pushText(rows, 'prompt_text', prepared.promptText, answers.prompt_text);
  pushText(rows, 'expanded_text', prepared.expandedText, answers.expanded_text);
  pushExact(rows, 'input_ids', prepared.inputIds, answers.input_ids);
  const grids = prepared.images.flatMap(({ gridThw }) => gridThw);
  pushExact(rows, 'image_grid_thw', grids, (answers.image_grid_thw ?? []).flat());
}

function comparePixels(
  rows: ParityRow[],
  tensors: ReadonlyMap<string, GoldenTensor>,
  { images }: PreparedInputs,
): void {
  for (const [index, { resized, processed }] of images.entries()) {
    for (const [suffix, image] of [
      ['resized_rgb', resized],
      ['processed_rgb', processed],
    ] as const) {
      const stored = tensors.get(`image${index}.${suffix}`);
      if (stored) pushExact(rows, `image${index}.${suffix}`, image.data, stored.data, stored.shape);
    }
  }
}

function compareWindows(
  rows: ParityRow[],
  answers: GoldenAnswers,
  model: M2Reasoning,
  { images }: PreparedInputs,
): void {
  if (!answers.window_index || !answers.cu_window_seqlens || !answers.cu_seqlens) return;
  const windows = windowLayout(
    images.map(({ gridThw }) => gridThw),
    model.config.vision,
  );
  pushExact(rows, 'window_index', windows.windowIndex, answers.window_index);
  if (answers.cu_window_seqlens_raw) {
    pushExact(rows, 'cu_window_seqlens_raw', windows.cuWindowSeqlensRaw, answers.cu_window_seqlens_raw);
  }
  pushExact(rows, 'cu_window_seqlens', windows.cuWindowSeqlens, answers.cu_window_seqlens);
  pushExact(rows, 'cu_seqlens', windows.cuSeqlens, answers.cu_seqlens);
}

/** Compares positions. Forward cases use the stored ones instead, because the published generate() never computes such positions. */
function comparePositions(
  rows: ParityRow[],
  answers: GoldenAnswers,
  model: M2Reasoning,
  { inputIds, images }: PreparedInputs,
  quirks: 'reference' | 'fixed',
): Positions {
  const tokens = answers.position_ids[0].length;
  const stored = Int32Array.from(answers.position_ids.flat());
  if (answers.behaviour === 'forward' || answers.behaviour === 'forward-int-scale') {
    const largest = stored.subarray(0, tokens).reduce((a, b) => Math.max(a, b)); // of the first axis: video_rope continues from it
    return { positionIds: stored, ropeDelta: largest + 1 - tokens };
  }
  const positions = positionsFor(model.config.llm.rope, inputIds, images, positionTokens(model), quirks);
  const axes = answers.position_ids.length;
  pushExact(rows, 'position_ids', positions.positionIds.subarray(0, axes * tokens), stored, [axes, tokens]);
  pushExact(rows, 'rope_delta', [positions.ropeDelta], [answers.rope_delta ?? 0]);
  const decodePositions = answers.decode_position_ids.map((_, step) => tokens + step + positions.ropeDelta);
  const expected = answers.decode_position_ids.map(([first]) => first);
  pushExact(rows, 'decode_position_ids', decodePositions, expected);
  return positions;
}

/** Collects the tapped stages that the golden case stores. */
class StageCollector {
  readonly #model: M2Reasoning;
  readonly #tensors: ReadonlyMap<string, GoldenTensor>;
  readonly #order: string[] = [];
  readonly #seen = new Map<string, Float32Array[]>();
  readonly #shapes = new Map<string, readonly number[]>();

  constructor(model: M2Reasoning, tensors: ReadonlyMap<string, GoldenTensor>) {
    this.#model = model;
    this.#tensors = tensors;
  }

  async collect(stage: string, tensor: Tensor): Promise<void> {
    const stored = ['', '.head', '.tail'].some((suffix) => this.#tensors.has(stage + suffix));
    const again = this.#seen.get(stage);
    if (!stored || (again && stage !== 'logits.steps')) return; // later steps tap the same names again
    const values = (await readTensor(this.#model.gpu, tensor)) as Float32Array;
    if (again) again.push(values);
    else {
      this.#order.push(stage);
      this.#seen.set(stage, [values]);
      this.#shapes.set(stage, tensor.shape);
    }
  }

  rows(): ParityRow[] {
    const rows: ParityRow[] = [];
    const compared = new Set<string>();
    for (const stage of this.#order) {
      for (const suffix of ['', '.head', '.tail'] as const) {
        const expected = this.#tensors.get(stage + suffix);
        if (!expected) continue;
        compared.add(stage + suffix);
        const actual = this.#slice(stage, suffix, expected);
        rows.push(toRow(stage + suffix, actual, expected.data, expected.shape, toleranceOf(stage)));
      }
    }
    const last = this.#tensors.get('logits.prefill_last');
    const [firstLogits] = this.#seen.get('logits.steps') ?? [];
    if (last && firstLogits) {
      compared.add('logits.prefill_last');
      rows.push(
        toRow('logits.prefill_last', firstLogits, last.data, last.shape, toleranceOf('logits.prefill_last')),
      );
    }
    for (const [name, { shape }] of this.#tensors) {
      if (compared.has(name) || /^image\d+\./.test(name)) continue;
      rows.push({
        stage: name,
        shape,
        maxAbs: Infinity,
        maxRel: Infinity,
        tolerance: 'exact',
        ok: false,
        detail: 'not tapped',
      });
    }
    return rows;
  }

  /** The part of a stage that the golden case stores. */
  #slice(stage: string, suffix: '' | '.head' | '.tail', expected: GoldenTensor): Float32Array {
    const seen = this.#seen.get(stage) as Float32Array[];
    if (stage === 'logits.steps') return Float32Array.from(seen.flatMap((row) => [...row]));
    const [values] = seen;
    if (stage.startsWith('cache.'))
      return promptRows(values, this.#shapes.get(stage) as number[], expected.shape[1]);
    if (suffix === '.head') return values.subarray(0, expected.data.length);
    if (suffix === '.tail') return values.subarray(values.length - expected.data.length);
    return values;
  }
}

/** The prompt's part [kvHeads, tokens, headDim] of a cache [kvHeads, context, headDim], as stored in goldens. */
function promptRows(
  values: Float32Array,
  [kvHeads, context, headDim]: readonly number[],
  tokens: number,
): Float32Array {
  const rows = new Float32Array(kvHeads * tokens * headDim);
  for (let head = 0; head < kvHeads; head++) {
    const from = head * context * headDim;
    rows.set(values.subarray(from, from + tokens * headDim), head * tokens * headDim);
  }
  return rows;
}

function pushExact(
  rows: ParityRow[],
  stage: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  shape: readonly number[] = [expected.length],
): void {
  rows.push(toRow(stage, actual, expected, shape, EXACT));
}

function pushText(rows: ParityRow[], stage: string, actual: string, expected: string | undefined): void {
  if (expected === undefined) return; // may be missing in cases on which the published code fails
  const ok = actual === expected;
  const detail = ok ? undefined : `${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`;
  const shape = [expected.length];
  rows.push({
    stage,
    shape,
    maxAbs: ok ? 0 : Infinity,
    maxRel: ok ? 0 : Infinity,
    tolerance: 'exact',
    ok,
    detail,
  });
}

function toRow(
  stage: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  shape: readonly number[],
  tolerance: Tolerance,
): ParityRow {
  const { maxAbs, maxRel, ok, ...worst } = compareArrays(actual, expected, tolerance);
  const counts =
    actual.length === expected.length ? '' : `${actual.length} values instead of ${expected.length}; `;
  const detail = ok
    ? undefined
    : `${counts}${worst.overTolerance} over tolerance, worst at ${worst.worstIndex}: ${worst.actual} instead of ${worst.expected}`;
  return { stage, shape, maxAbs, maxRel, tolerance: describeTolerance(tolerance), ok, detail };
}
