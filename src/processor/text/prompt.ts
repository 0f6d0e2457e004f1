/** The built-in prompt, rendered without a template as on the model's web page. */
import { isList, type Message, partsOf } from './messages.ts';

/** The placeholder for one image or clip, until expandImages.ts replaces it by patch tokens. */
export const IMAGE_PLACEHOLDER = '<image>';

/**
 * Renders the prompt like the reference with `use_system=True`.
 *
 * ```
 * user: [image, "What is this?"]      <|im_start|>user
 *                                     <image>What is this?<|im_end|>
 * addGenerationPrompt                 <|im_start|>assistant<|im_end|>
 * ```
 *
 * @param messages as returned by `checkMessages`; no system message is added
 * @returns the prompt with one `<image>` per image or clip, not yet expanded. Special tokens in a message's text are kept
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
  // QUIRK(generation-prompt): the published prompt opens the assistant's turn and immediately closes it.
  if (addGenerationPrompt) prompt += '<|im_start|>assistant<|im_end|>\n';
  return prompt;
}

/**
 * A message's parts as one text. An image part becomes one `<image>` per image, each on its own line. A clip becomes one
 * `<image>` too, because the published `<video>` can't be expanded.
 *
 * Follows: processing_bailing_qwen2_5.py, apply_chat_template
 */
export function messageText(message: Message): string {
  const parts = partsOf(message);
  let written = 0; // `<image>` already written in the text
  for (const part of parts) if (part.type === 'text') written += countPlaceholders(part.text);

  let text = '';
  for (const part of parts) {
    if (part.type === 'text') {
      text += part.text;
      continue;
    }
    const images = part.type === 'image' && isList(part.image) ? part.image.length : 1;
    // QUIRK(written-placeholders): their number in the whole message is subtracted from every image part, not from their sum.
    const missing = Math.max(0, images - written);
    text += new Array(missing).fill(IMAGE_PLACEHOLDER).join('\n');
  }
  return text;
}

/** @returns the number of `<image>` in the text */
export function countPlaceholders(text: string): number {
  return text.split(IMAGE_PLACEHOLDER).length - 1;
}
