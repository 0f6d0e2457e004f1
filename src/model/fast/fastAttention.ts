/** The fast form of attention: kernels that fuse several steps, and separate kernels for scores and values. */
import type { Pass } from '../../gpu/pass.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { type Attention, plainAttention, rotate } from '../graph/attention.ts';
import type { KernelLookup } from './kernelLookup.ts';

const MAX_HEADS_OF_KEY_HEAD = 8; // the limit of attendToken
const MAX_SCORES_BYTES = 128 * 2 ** 20; // scratch memory

/**
 * Chooses the fast form for the decoder and the vision tower. Where the user replaced a plain kernel that it would bypass, or
 * headDim is not a multiple of eight, the plain form stays.
 *
 * @param splitKeys keys per workgroup in a decode step; Infinity: all of them
 */
export function fastAttention(
  kernels: PlainKernels,
  lookup: KernelLookup,
  { llm, vision }: ModelConfig,
  splitKeys: number,
): Attention {
  const plain = plainAttention(kernels);
  const isWide = llm.headDim % 8 === 0;
  const hasRoom = llm.numAttentionHeads <= MAX_HEADS_OF_KEY_HEAD * llm.numKeyValueHeads;
  const prompt = isWide && !lookup.yields('prompt') ? promptAttention(lookup) : plain.decoder;
  const token = () => (hasRoom ? tokenAttention(kernels, lookup, splitKeys) : prompt);
  const oneToken = isWide && !lookup.yields('token') ? token() : plain.decoder;
  return {
    decoder: (pass, cache, tokens) => (tokens === 1 ? oneToken : prompt)(pass, cache, tokens),
    vision: vision.headDim % 8 === 0 && !lookup.yields('vision') ? visionAttention(lookup) : plain.vision,
  };
}

/** Decode: rotation, cache and attention of a layer in one kernel, or in two if the keys are split. */
function tokenAttention(
  kernels: PlainKernels,
  lookup: KernelLookup,
  maxSplitKeys: number,
): Attention['decoder'] {
  const tokenAngles = lookup.find('tokenAngles');
  const attendToken = lookup.find('attendToken');
  const splitting = Number.isFinite(maxSplitKeys) && {
    attend: lookup.find('attendTokenSplits'),
    merge: lookup.find('mergeSplits'),
  };
  return (pass, { layers, start, rotary }) => {
    const { firstPosition, ...tables } = rotary;
    const angles = tokenAngles(pass, { ...tables, start }, { firstPosition }); // [2, headDim / 2], the same in all layers
    return (qkv, layer) => {
      const { k: kCache, v: vCache } = layers[layer]; // [kvHeads, context, headDim] each
      if (pass.isTapped) {
        // The fused kernel keeps the rotated values in registers, so compute them again for the tap.
        const rotated = pass.allocate('f32', qkv.shape, 'rotated qkv'); // [1, qkvDim]
        pass.copy(qkv, rotated);
        rotate(pass, kernels, rotated, rotary, start, kCache);
        pass.tap(`llm.layer${layer}.attn.qkv`, rotated);
      }
      const [kvHeads, context, headDim] = kCache.shape;
      const heads = qkv.shape[1] / headDim - 2 * kvHeads;
      const splitKeys = Math.min(context, maxSplitKeys);
      const splits = Math.ceil(context / splitKeys);
      const headBlocks = Math.ceil(heads / kvHeads / 4);
      const queries = pass.allocate('f32', [splits, heads * headDim], 'queries');
      const weights = pass.allocate('f32', [splits, kvHeads, headBlocks, splitKeys, 4], 'attention weights');
      const tensors = { qkv, angles, start, kCache, vCache, queries, weights };
      if (!splitting || splits === 1) return attendToken(pass, tensors); // [1, heads · headDim]
      const partials = pass.allocate('f32', [splits, heads, headDim + 4], 'attention of splits');
      splitting.attend(pass, { ...tensors, out: partials });
      return splitting.merge(pass, { partials, start }, { headDim, splitKeys }); // [1, heads · headDim]
    };
  };
}

/** Prefill: rotation and cache in one kernel, then all scores, then the weighted values. */
function promptAttention(lookup: KernelLookup): Attention['decoder'] {
  const rotateAndCache = lookup.find('rotateAndCache');
  const scoresFor = lookup.byRows('attentionScores');
  const valuesFor = lookup.byRows('attentionValues');
  return (pass, { layers, start, rotary, keys }, tokens) =>
    (qkv, layer) => {
      const { k: kCache, v: vCache } = layers[layer]; // [kvHeads, context, headDim] each
      const { firstPosition, ...tables } = rotary;
      rotateAndCache(pass, { qkv, ...tables, start, kCache, vCache }, { firstPosition });
      pass.tap(`llm.layer${layer}.attn.qkv`, qkv);

      const qkvDim = qkv.shape[1];
      const [kvHeads, , headDim] = kCache.shape;
      const heads = qkvDim / headDim - 2 * kvHeads;
      const out = pass.allocate('f32', [tokens, heads * headDim], 'attended');
      for (const [firstToken, queries] of batches(pass, tokens, heads * keys)) {
        pass.scope(() => {
          const rowBlocks = Math.ceil((queries * heads) / kvHeads / 4);
          const scores = pass.allocate('f32', [kvHeads, rowBlocks, keys, 4], 'attention scores');
          scoresFor(queries)(pass, { qkv, kCache, start, scores }, { firstToken, queries });
          return valuesFor(queries)(pass, { scores, vCache, start, out }, { qkvDim, firstToken, queries });
        });
      }
      return out;
    };
}

/** Vision: all scores, then the weighted values. */
function visionAttention(lookup: KernelLookup): Attention['vision'] {
  const visionScores = lookup.find('visionScores');
  const visionValues = lookup.find('visionValues');
  return (pass, qkv, segments, numHeads) => {
    const [patches, qkvDim] = qkv.shape;
    const out = pass.allocate('f32', [patches, qkvDim / 3], 'attended');
    for (const [firstPatch, queries] of batches(pass, patches, numHeads * patches)) {
      pass.scope(() => {
        const scores = pass.allocate('f32', [numHeads, Math.ceil(queries / 4), patches, 4], 'vision scores');
        visionScores(pass, { qkv, segments, scores }, { numHeads, firstPatch, queries });
        return visionValues(pass, { scores, qkv, segments, out }, { numHeads, firstPatch, queries });
      });
    }
    return out;
  };
}

/** Splits the queries into batches [first, count] whose scores fit in 128 MiB and in one binding. */
function* batches({ gpu }: Pass, queries: number, scoresOfQuery: number): Generator<[number, number]> {
  const roomBytes = Math.min(MAX_SCORES_BYTES, gpu.maxBindingBytes);
  const most = Math.max(4, Math.floor(roomBytes / 4 / scoresOfQuery / 4) * 4); // whole blocks of four
  for (let first = 0; first < queries; first += most) yield [first, Math.min(most, queries - first)];
}
