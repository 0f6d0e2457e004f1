/** The built-in prompt: messages to text, as the model page does it, without a template. */
import { isList, type Message, partsOf } from './messages.ts';

/** Stands for one picture, or one clip, until expandImages.ts puts its patches there. */
export const IMAGE_PLACEHOLDER = '<image>';

/**
 * The prompt as the reference's `use_system=True` makes it.
 *
 * ```
 * user: [image, "What is this?"]      <|im_start|>user
 *                                     <image>What is this?<|im_end|>
 * addGenerationPrompt                 <|im_start|>assistant<|im_end|>
 * ```
 *
 * @param messages checked; no system turn is added to them
 * @returns the prompt with one `<image>` a picture or clip, not yet expanded. Special tokens that a message's text spells
 *   are left as they are
 *
 * Follows: processing_bailing_qwen2_5.py, apply_chat_template
 */
export function renderPrompt(
  messages: readonly Message[],
  { addGenerationPrompt }: { addGenerationPrompt: boolean },
): string {
  let prompt = '';
  for (const message of messages)
    prompt += `<|im_start|>${message.role}\n${messageText(message)}<|im_end|>\n`;
  // QUIRK(generation-prompt): the published prompt opens the assistant's turn and closes it at once.
  if (addGenerationPrompt) prompt += '<|im_start|>assistant<|im_end|>\n';
  return prompt;
}

/**
 * A message's parts as one text. An image part gives as many `<image>` as it has pictures, one a line; a clip gives
 * one `<image>` too, as the published `<video>` can't be expanded.
 *
 * Follows: processing_bailing_qwen2_5.py, apply_chat_template
 */
export function messageText(message: Message): string {
  const parts = partsOf(message);
  let written = 0; // `<image>` that stand in the text already
  for (const part of parts) if (part.type === 'text') written += countPlaceholders(part.text);

  let text = '';
  for (const part of parts) {
    if (part.type === 'text') {
      text += part.text;
      continue;
    }
    const images = part.type === 'image' && isList(part.image) ? part.image.length : 1;
    // QUIRK(written-placeholders): those of the whole message are taken off every image part, not off their sum.
    const missing = Math.max(0, images - written);
    text += new Array(missing).fill(IMAGE_PLACEHOLDER).join('\n');
  }
  return text;
}

/** @returns how many `<image>` stand in the text */
export function countPlaceholders(text: string): number {
  return text.split(IMAGE_PLACEHOLDER).length - 1;
}
