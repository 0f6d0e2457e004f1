/** The bundled model's examples, as messages. */
import type { Message } from '../src/processor/text/messages.ts';
import { readJson } from './readTensors.ts';

export const tiny = new URL('../weights/m2-tiny/', import.meta.url).pathname;

export interface Example {
  readonly image: string;
  readonly question: string;
  readonly system: string | null;
  readonly reference_output: string;
  readonly input_ids: readonly number[];
  readonly output_ids: readonly number[];
}

export const examples: readonly Example[] = readJson(`${tiny}examples/examples.json`);

/** The image part comes before the text part; `system: null` means no system message. */
export function messagesOf({ system, image, question }: Example): Message[] {
  const user: Message = {
    role: 'user',
    content: [
      { type: 'image', image: `${tiny}examples/${image}` },
      { type: 'text', text: question },
    ],
  };
  return system === null ? [user] : [{ role: 'system', content: system }, user];
}
