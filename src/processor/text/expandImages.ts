/** Expands each `<image>` of a prompt to one `<imagePatch>` per feature row. */
import { InputError } from '../../errors.ts';
import { countPlaceholders, IMAGE_PLACEHOLDER } from './prompt.ts';

/**
 * Writes the patch tokens of every image into the prompt.
 *
 * ```
 * two images of 2 and 3 merged tokens, · for <imagePatch>:
 *
 *   prompt       A <image> B <image> C
 *   'fixed'      A <image>··</image> B <image>···</image> C
 *   'reference'  A <image>···</image>··</image> B <image> C
 * ```
 *
 * @param prompt with one `<image>` per image
 * @param imageTokenCounts merged tokens of each image, t·h·w / 4 of its grid, in prompt order. If there are none, the prompt is
 *   returned unchanged, and an `<image>` in it stays a single token
 * @throws InputError INPUT_IMAGE_COUNT if the prompt has more `<image>` than there are images (the published code raises
 *   IndexError) or fewer (it raises ValueError when inserting the features)
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
    const message = `the prompt has ${placeholders} <image>, but ${imageTokenCounts.length} images were given`;
    throw new InputError('INPUT_IMAGE_COUNT', message, {
      expected: imageTokenCounts.length,
      actual: placeholders,
      hint: 'write <image> only in messages that have images, once for each of them at most',
    });
  }

  const expanded = imageTokenCounts.map((count) => `<image>${'<imagePatch>'.repeat(count)}</image>`);
  if (quirks === 'fixed') {
    const between = prompt.split(IMAGE_PLACEHOLDER);
    return between.reduce((text, next, i) => text + expanded[i - 1] + next);
  }
  // QUIRK(expansion): each image replaces the first `<image>`, which is the one that the previous image has just written.
  return expanded.reduce((text, image) => text.replace(IMAGE_PLACEHOLDER, image), prompt);
}

/** @returns the number of `<imagePatch>` among the ids */
export function countImagePatches(ids: ArrayLike<number>, imagePatchToken: number): number {
  let patches = 0;
  for (let i = 0; i < ids.length; i++) if (ids[i] === imagePatchToken) patches++;
  return patches;
}

/**
 * Checks that the prompt has exactly one `<imagePatch>` per row of image features. A message's text may contain more.
 *
 * @param featureRows feature rows of all images; 0 without images
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
  const message = `the prompt has ${patches} <imagePatch>, but the images have ${featureRows} feature rows`;
  throw new InputError('INPUT_IMAGE_COUNT', message, {
    expected: featureRows,
    actual: patches,
    hint: 'remove <imagePatch> from the text of the messages',
  });
}
