/**
 * Every error that this library throws on purpose. A message says what happened and where, then what to do.
 * Programs may switch on `code`, which is stable API; texts may change.
 */

/** The stable codes, grouped by the class that carries them. */
export type ErrorCode =
  // CheckpointError: safetensors files
  | 'ST_TOO_SHORT'
  | 'ST_HEADER_INVALID'
  | 'ST_HEADER_TOO_LARGE'
  | 'ST_HEADER_PAST_END'
  | 'ST_METADATA_INVALID'
  | 'ST_OFFSET_INVALID'
  | 'ST_OFFSET_PAST_END'
  | 'ST_OVERLAP'
  | 'ST_HOLE'
  | 'ST_NOT_COVERED'
  | 'ST_SHAPE_INVALID'
  | 'ST_SHAPE_MISMATCH'
  | 'ST_OVERFLOW'
  | 'ST_DTYPE_UNKNOWN'
  // CheckpointError: the folder, its index, its tensors
  | 'CKPT_FILE_MISSING'
  | 'CKPT_PATH_UNSAFE'
  | 'CKPT_NOT_A_FILE'
  | 'CKPT_READ'
  | 'CKPT_SHORT_READ'
  | 'CKPT_CHANGED'
  | 'CKPT_INDEX_INVALID'
  | 'CKPT_SHARD_MISSING'
  | 'CKPT_TENSOR_MISSING'
  | 'CKPT_TENSOR_DUPLICATE'
  | 'CKPT_SHAPE_MISMATCH'
  | 'CKPT_DTYPE_UNSUPPORTED'
  | 'CKPT_NONFINITE'
  // ConfigError
  | 'CONFIG_MISSING'
  | 'CONFIG_PARSE'
  | 'CONFIG_TOO_LARGE'
  | 'CONFIG_TYPE'
  | 'CONFIG_RANGE'
  | 'CONFIG_INCONSISTENT'
  | 'CONFIG_ROPE_UNKNOWN'
  | 'CONFIG_UNSUPPORTED'
  // TokenizerError
  | 'TOKENIZER_INVALID'
  | 'TOKENIZER_SPECIAL_MISSING'
  | 'TOKENIZER_SPECIAL_MISMATCH'
  // PromptError: the chat template
  | 'TEMPLATE_MISSING'
  | 'TEMPLATE_SYNTAX'
  | 'TEMPLATE_RAISED'
  | 'TEMPLATE_TOO_LARGE'
  // ImageError
  | 'IMAGE_NOT_FOUND'
  | 'IMAGE_EMPTY'
  | 'IMAGE_TRUNCATED'
  | 'IMAGE_UNSUPPORTED'
  | 'IMAGE_INVALID'
  | 'IMAGE_TOO_LARGE'
  | 'IMAGE_CORRUPT'
  | 'IMAGE_ASPECT'
  | 'IMAGE_TOO_SMALL'
  | 'IMAGE_DATA_URL'
  // InputError: arguments of public functions
  | 'INPUT_TYPE'
  | 'INPUT_LENGTH'
  | 'INPUT_RANGE'
  | 'INPUT_ROLE'
  | 'INPUT_EMPTY'
  | 'INPUT_PART_UNKNOWN'
  | 'INPUT_TOO_LONG'
  | 'INPUT_TOO_MANY_IMAGES'
  | 'INPUT_TOO_MANY_FRAMES'
  | 'INPUT_FRAME_SIZE'
  | 'INPUT_IMAGE_COUNT'
  | 'INPUT_CONTEXT_OVERFLOW'
  | 'INPUT_FILE'
  // GenerationError
  | 'GEN_RANGE'
  | 'GEN_NONFINITE'
  | 'GEN_ABORTED'
  | 'GEN_DISPOSED'
  | 'GEN_BUSY'
  // ShapeError, KernelError
  | 'SHAPE_MISMATCH'
  | 'SHAPE_UNSOLVED'
  | 'KERNEL_COMPILE'
  | 'KERNEL_INTERFACE'
  | 'KERNEL_FEATURE'
  | 'KERNEL_LIMIT'
  | 'KERNEL_BINDING'
  | 'KERNEL_TIMEOUT'
  // GpuError
  | 'GPU_NO_ADAPTER'
  | 'GPU_LIMIT'
  | 'GPU_OUT_OF_MEMORY'
  | 'GPU_LOST'
  | 'GPU_VALIDATION'
  // ParityError
  | 'PARITY_GOLDEN_MISSING'
  | 'PARITY_GOLDEN_INVALID'
  | 'PARITY_CHECKPOINT';

/** The facts behind an error. Only the fields that apply are set. */
export interface ErrorDetails {
  /** What to do about it; the message ends with it. */
  readonly hint?: string;
  readonly cause?: unknown;
  readonly file?: string;
  readonly tensor?: string;
  /** JSON path (`llm_config.hidden_size`) or argument path (`messages[2].content[0]`). */
  readonly field?: string;
  readonly kernel?: string;
  readonly binding?: string;
  readonly line?: number;
  readonly column?: number;
  readonly expected?: unknown;
  readonly actual?: unknown;
}

/** The base class of all errors of this library. */
export class M2Error extends Error {
  override readonly name: string = 'M2Error';
  readonly code: ErrorCode;
  readonly details: Readonly<ErrorDetails>;

  /** @param message what happened and where, without a full stop; `details.hint` is appended after a semicolon */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(details.hint ? `${message}; ${details.hint}` : message, { cause: details.cause });
    this.code = code;
    this.details = details;
  }
}

/** A weight file, its index or one of its tensors can't be used. */
export class CheckpointError extends M2Error {
  override readonly name = 'CheckpointError';
}

/** `config.json` or `preprocessor_config.json` is missing, unreadable or contradicts itself. */
export class ConfigError extends M2Error {
  override readonly name = 'ConfigError';
}

/** `tokenizer.json` can't be used, or disagrees with the config. */
export class TokenizerError extends M2Error {
  override readonly name = 'TokenizerError';
}

/** The prompt could not be rendered from the messages. */
export class PromptError extends M2Error {
  override readonly name = 'PromptError';
}

/** A picture can't be read, decoded or resized. */
export class ImageError extends M2Error {
  override readonly name = 'ImageError';
}

/** An argument of a public function is wrong. */
export class InputError extends M2Error {
  override readonly name = 'InputError';
}

/** Generation can't start or can't go on. */
export class GenerationError extends M2Error {
  override readonly name = 'GenerationError';
}

/** Tensors don't fit a kernel's declared shapes or dtypes. */
export class ShapeError extends M2Error {
  override readonly name = 'ShapeError';
}

/** A kernel's text does not compile or contradicts its declaration, or a call of it is not possible. */
export class KernelError extends M2Error {
  override readonly name = 'KernelError';
}

/** There is no adapter, a limit is exceeded, memory ran out, or the device is lost. */
export class GpuError extends M2Error {
  override readonly name = 'GpuError';
}

/** A golden case can't be read or belongs to another checkpoint. */
export class ParityError extends M2Error {
  override readonly name = 'ParityError';
}
