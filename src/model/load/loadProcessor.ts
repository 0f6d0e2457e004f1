/** The processor of a checkpoint: its tokenizer and image settings, checked against the model's config. */
import { ConfigError, TokenizerError } from '../../errors.ts';
import {
  DEFAULT_IMAGE_PROCESSOR,
  parseImageProcessorConfig,
} from '../../processor/image/imageProcessorConfig.ts';
import { Processor } from '../../processor/processor.ts';
import { checkSpecials } from '../../processor/text/specialTokens.ts';
import { Tokenizer } from '../../processor/text/tokenizer.ts';
import { type ModelFiles, readAll } from '../checkpoint/byteSource.ts';
import { assertProcessorFits, type ModelConfig } from '../checkpoint/config.ts';

/** @throws TokenizerError, ConfigError if a file is damaged, too large or from another checkpoint; CheckpointError from reading */
export async function loadProcessor(files: ModelFiles, config: ModelConfig): Promise<Processor> {
  const tokenizerJson = await readOptional(files, 'tokenizer.json');
  if (tokenizerJson === null) {
    throw new TokenizerError('TOKENIZER_INVALID', `${files.name} has no tokenizer.json`, {
      file: 'tokenizer.json',
      hint: 'download it from the same place as the weights',
    });
  }
  const tokenizerConfig = await readOptional(files, 'tokenizer_config.json');
  const tokenizer = Tokenizer.fromJson(tokenizerJson, tokenizerConfig, 'tokenizer.json');
  checkSpecials(tokenizer, config.llm);

  const imageJson = await readOptional(files, 'preprocessor_config.json');
  const imageConfig = imageJson
    ? parseImageProcessorConfig(imageJson, 'preprocessor_config.json')
    : DEFAULT_IMAGE_PROCESSOR;
  assertProcessorFits(config.vision, imageConfig);
  return new Processor(tokenizer, imageConfig, config.llm.imagePatchToken);
}

const MAX_TOKENIZER_BYTES = 64 * 2 ** 20;

/** @returns the bytes of a file, or null if there is none @throws ConfigError CONFIG_TOO_LARGE; CheckpointError from reading */
export async function readOptional(files: ModelFiles, fileName: string): Promise<Uint8Array | null> {
  const source = await files.open(fileName);
  if (source === null) return null;
  try {
    if (source.sizeBytes > MAX_TOKENIZER_BYTES) {
      throw new ConfigError(
        'CONFIG_TOO_LARGE',
        `${fileName} has ${source.sizeBytes} bytes, the limit is 64 MB`,
        {
          file: fileName,
        },
      );
    }
    return await readAll(source);
  } finally {
    await source.close();
  }
}
