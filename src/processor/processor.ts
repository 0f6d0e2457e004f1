/** From messages to the inputs of the model: token ids and patches. */

import { preprocessFrames } from './frames.ts';
import { loadImage } from './image/imageSource.ts';
import { type ImageProcessorConfig, type PreprocessedImage, preprocessImage } from './patches.ts';
import { renderChatTemplate } from './text/chatTemplate.ts';
import { checkMessages } from './text/checkMessages.ts';
import { checkImagePatches, expandImages } from './text/expandImages.ts';
import { imagesOf, type Message } from './text/messages.ts';
import { renderPrompt } from './text/prompt.ts';
import type { Tokenizer } from './text/tokenizer.ts';

export interface PrepareOptions {
  /** With several images: 'reference' (default) misplaces them as the published code does, 'fixed' puts each in its own place. */
  readonly quirks?: 'reference' | 'fixed';
  /** 'reference' (default): the published prompt. 'jinja': the chat template of the checkpoint. */
  readonly promptTemplate?: 'reference' | 'jinja';
  readonly signal?: AbortSignal;
}

/** A prompt, ready for the model. */
export interface PreparedInputs {
  readonly promptText: string;
  /** The prompt with every `<image>` expanded to its patch tokens. */
  readonly expandedText: string;
  readonly inputIds: readonly number[]; // [tokens]
  /** Images and clips, in prompt order. */
  readonly images: readonly PreprocessedImage[];
  /** E.g. that several images are misplaced as in the published code. */
  readonly warnings: readonly string[];
}

/** Turns prompts and pictures into inputs for one checkpoint. */
export class Processor {
  readonly tokenizer: Tokenizer;
  readonly imageConfig: ImageProcessorConfig;
  readonly #imagePatchToken: number;

  constructor(tokenizer: Tokenizer, imageConfig: ImageProcessorConfig, imagePatchToken: number) {
    this.tokenizer = tokenizer;
    this.imageConfig = imageConfig;
    this.#imagePatchToken = imagePatchToken;
  }

  /**
   * Renders the prompt, turns pictures into patches, and encodes the text. It does not use the GPU.
   *
   * @throws InputError (messages, number of images), ImageError (a picture), PromptError (the template), TokenizerError, the
   *   signal's reason
   * Follows: processing_bailing_qwen2_5.py, apply_chat_template and __call__
   */
  async prepare(input: readonly Message[], options: PrepareOptions = {}): Promise<PreparedInputs> {
    const { quirks = 'reference', promptTemplate = 'reference', signal } = options;
    const messages = checkMessages(input);
    const promptText =
      promptTemplate === 'jinja'
        ? renderChatTemplate(this.tokenizer.chatTemplate, messages, { addGenerationPrompt: true })
        : renderPrompt(messages, { addGenerationPrompt: true });

    const images: PreprocessedImage[] = [];
    for (const placed of imagesOf(messages)) {
      signal?.throwIfAborted();
      if ('frames' in placed) {
        const { part, frames, field } = placed;
        images.push(await preprocessFrames(frames, field, part, this.imageConfig, signal));
      } else {
        const { part, source, field } = placed;
        const image = await loadImage(source, field, { exifOrientation: part.exifOrientation });
        await lookUp(signal);
        images.push(preprocessImage(image, part, this.imageConfig, image.name));
      }
    }

    const tokensPerImage = images.map(
      ({ gridThw: [t, h, w] }) => (t * h * w) / this.imageConfig.mergeSize ** 2,
    );
    const expandedText = expandImages(promptText, tokensPerImage, quirks);
    const inputIds = this.tokenizer.encode(expandedText);
    checkImagePatches(
      inputIds,
      this.#imagePatchToken,
      tokensPerImage.reduce((sum, count) => sum + count, 0),
    );
    const scrambled = images.length > 1 && quirks === 'reference';
    return { promptText, expandedText, inputIds, images, warnings: scrambled ? [SEVERAL_IMAGES] : [] };
  }
}

/** Lets pending events run: image processing blocks the thread, and an abort could not arrive. @throws the signal's reason */
async function lookUp(signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return;
  await new Promise((resolve) => setTimeout(resolve));
  signal.throwIfAborted();
}

const SEVERAL_IMAGES =
  'several images are misplaced as in the published code, the second inside the first; use quirks: "fixed" to put each in its own place';
