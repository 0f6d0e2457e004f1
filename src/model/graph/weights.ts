/** The model's weights on the GPU, grouped by module. Shapes are those of the matrices; biases are inside `Linear`. */
import type { Tensor } from '../../gpu/tensor.ts';
import type { Embedding } from './embedTokens.ts';
import type { Linear } from './linear.ts';

export interface VisionBlockWeights {
  readonly norm1: Tensor; // [hiddenSize]
  readonly qkv: Linear; // [3 · hiddenSize, hiddenSize]
  readonly proj: Linear; // [hiddenSize, hiddenSize]
  readonly norm2: Tensor; // [hiddenSize]
  readonly gateUp: Linear; // [2 · intermediateSize, hiddenSize], gate and up rows alternating
  readonly down: Linear; // [hiddenSize, intermediateSize]
}

export interface VisionWeights {
  readonly patchEmbed: Linear; // [hiddenSize, channels · frames · patchSize²]
  readonly blocks: readonly VisionBlockWeights[];
  readonly mergerNorm: Tensor; // [hiddenSize]
  readonly mergerIn: Linear; // [4 · hiddenSize, 4 · hiddenSize]
  readonly mergerOut: Linear; // [outHiddenSize, 4 · hiddenSize]
}

export interface DecoderLayerWeights {
  readonly inputNorm: Tensor; // [hiddenSize]
  readonly qkv: Linear; // [(heads + 2 · kvHeads) · headDim, hiddenSize]
  readonly oProj: Linear; // [hiddenSize, heads · headDim]
  readonly postAttentionNorm: Tensor; // [hiddenSize]
  readonly gateUp: Linear; // [2 · intermediateSize, hiddenSize], gate and up rows alternating
  readonly down: Linear; // [hiddenSize, intermediateSize]
}

export interface DecoderWeights {
  readonly embedTokens: Embedding; // [vocabSize, hiddenSize]
  readonly layers: readonly DecoderLayerWeights[];
  readonly norm: Tensor; // [hiddenSize]
  readonly lmHead: Linear; // [vocabSize, hiddenSize]; the same tensor as embedTokens if embeddings are tied
}

export interface ModelWeights {
  readonly vision: VisionWeights;
  /** Linear layers with GELUs between them. */
  readonly projector: readonly Linear[];
  readonly decoder: DecoderWeights;
  /** Every uploaded tensor, once. */
  readonly tensors: readonly Tensor[];
}
