/** From one `<image>` a picture to one `<imagePatch>` a feature row. */
import { InputError } from '../../errors.ts';
import { countPlaceholders, IMAGE_PLACEHOLDER } from './prompt.ts';

/**
 * Writes the patches of every image into the prompt.
 *
 * ```
 * two images of 2 and 3 merged tokens, · for <imagePatch>:
 *
 *   prompt       A <image> B <image> C
 *   'fixed'      A <image>··</image> B <image>···</image> C
 *   'reference'  A <image>···</image>··</image> B <image> C
 * ```
 *
 * @param prompt with one `<image>` a picture
 * @param imageTokenCounts merged tokens of each image, t·h·w / 4 of its grid, in prompt order; without images the
 *   prompt comes back as it is, and an `<image>` in it stays a lone token
 * @throws InputError INPUT_IMAGE_COUNT: the prompt has more `<image>` than there are images (the published code raises
 *   IndexError here) or fewer (there ValueError, once the features are put in)
 *
 * Follows: processing_bailing_qwen2_5.py, _expand_image_tokens
 */
export function expandImages(
  prompt: string,
  imageTokenCounts: readonly number[],
  quirks: 'reference' | 'fixed',
): string {
  if (imageTokenCounts.length === 0) return prompt;
  const placeholders = countPlaceholders(prompt);
  if (placeholders !== imageTokenCounts.length) {
    const message = `the prompt has ${placeholders} <image>, ${imageTokenCounts.length} images were given`;
    throw new InputError('INPUT_IMAGE_COUNT', message, {
      expected: imageTokenCounts.length,
      actual: placeholders,
      hint: 'an <image> written into a message stands for one of its own pictures; the other messages may have none',
    });
  }

  const expanded = imageTokenCounts.map((count) => `<image>${'<imagePatch>'.repeat(count)}</image>`);
  if (quirks === 'fixed') {
    const between = prompt.split(IMAGE_PLACEHOLDER);
    return between.reduce((text, next, i) => text + expanded[i - 1] + next);
  }
  // QUIRK(expansion): each image replaces the first `<image>`, which the image before it has just written.
  return expanded.reduce((text, image) => text.replace(IMAGE_PLACEHOLDER, image), prompt);
}

/** @returns how many of the ids are `<imagePatch>` */
export function countImagePatches(ids: ArrayLike<number>, imagePatchToken: number): number {
  let patches = 0;
  for (let i = 0; i < ids.length; i++) if (ids[i] === imagePatchToken) patches++;
  return patches;
}

/**
 * Every `<imagePatch>` of the prompt takes one row of image features; one more, written into a message, has none.
 *
 * @param featureRows rows of all images together, 0 without images
 * @throws InputError INPUT_IMAGE_COUNT
 *
 * Follows: modeling_qwen2_5.py, prompt_wrap_vision
 */
export function checkImagePatches(
  ids: ArrayLike<number>,
  imagePatchToken: number,
  featureRows: number,
): void {
  const patches = countImagePatches(ids, imagePatchToken);
  if (patches === featureRows) return;
  const message = `the prompt has ${patches} <imagePatch>, the images have ${featureRows} feature rows`;
  throw new InputError('INPUT_IMAGE_COUNT', message, {
    expected: featureRows,
    actual: patches,
    hint: 'take <imagePatch> out of the text of the messages',
  });
}
