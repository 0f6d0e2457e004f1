/** From messages to what the model takes: token ids and patches. */

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
  /** Lay out several images as the published code does (default), or each where it stands. */
  readonly quirks?: 'reference' | 'fixed';
  /** The published prompt (default), or the tokenizer's own Jinja template. */
  readonly promptTemplate?: 'reference' | 'jinja';
  readonly signal?: AbortSignal;
}

/** A prompt, ready for the model. */
export interface PreparedInputs {
  readonly promptText: string;
  /** With every `<image>` replaced by its patch tokens. */
  readonly expandedText: string;
  readonly inputIds: readonly number[]; // [tokens]
  /** Pictures and clips, in prompt order. */
  readonly images: readonly PreprocessedImage[];
  /** What the caller should know, e.g. that several images are laid out as in the published code. */
  readonly warnings: readonly string[];
}

/** Reads prompts and pictures for one checkpoint. */
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
   * Renders the prompt, decodes and cuts the pictures, and makes the token ids. Touches no GPU.
   *
   * @throws InputError (messages, counts of images), ImageError (a picture), PromptError (the template)
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

/** Decoding and cutting keep the thread busy: between the two an abort can arrive. @throws the signal's reason */
async function lookUp(signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return;
  await new Promise((resolve) => setTimeout(resolve));
  signal.throwIfAborted();
}

const SEVERAL_IMAGES =
  'several images are laid out as the published code does it, the second inside the first; quirks: "fixed" puts each in its place';
