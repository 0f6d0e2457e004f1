/** What a conversation is. */
import type { ImageSource } from '../image/imageSource.ts';

export interface TextPart {
  type: 'text';
  text: string;
}

export interface SizeOptions {
  /** Limits for the first resize, in pixels of area; of a clip, of each frame. */
  minPixels?: number;
  maxPixels?: number;
  /** Size to resize to, in pixels, rounded to multiples of 28. */
  resizedHeight?: number;
  resizedWidth?: number;
}

export interface ImagePart extends SizeOptions {
  type: 'image';
  /** A path, URL, `data:` URL, encoded bytes or decoded pixels; or a list of these. */
  image: ImageSource | readonly ImageSource[];
  /** Whether a JPEG is turned as its EXIF says, before it is resized. Default 'ignore', as the reference. */
  exifOrientation?: 'ignore' | 'apply';
}

/** A clip, as pictures of one size in order of time. */
export interface VideoPart extends SizeOptions {
  type: 'video';
  frames: readonly ImageSource[];
  /** Seconds from one pair of frames to the next, over 0 and at most 60; only m_rope has a use for it. */
  secondsPerGrid?: number;
}

export type Part = TextPart | ImagePart | VideoPart;

export interface Message {
  role: 'system' | 'user' | 'assistant';
  /** Plain text is the same as one text part. */
  content: string | readonly Part[];
}

/** @returns the parts of a message in order; plain text content as one text part */
export function partsOf(message: Message): readonly Part[] {
  return typeof message.content === 'string' ? [{ type: 'text', text: message.content }] : message.content;
}

/** One picture of a conversation. */
export interface PlacedImage {
  /** Holds the options that apply to this picture. */
  readonly part: ImagePart;
  readonly source: ImageSource;
  /** Where it stands, for messages: `messages[0].content[1].image`, in a list `….image[2]`. */
  readonly field: string;
}

/** One clip of a conversation. */
export interface PlacedVideo {
  /** Holds the options that apply to all of its frames. */
  readonly part: VideoPart;
  readonly frames: readonly ImageSource[];
  /** Where they stand, for messages: `messages[0].content[1].frames`. */
  readonly field: string;
}

/**
 * @param messages checked
 * @returns every picture and every clip in prompt order, lists of pictures taken apart
 *
 * Follows: bailing_qwen2_5_utils.py, process_vision_info
 */
export function imagesOf(messages: readonly Message[]): (PlacedImage | PlacedVideo)[] {
  const images: (PlacedImage | PlacedVideo)[] = [];
  for (const [i, message] of messages.entries()) {
    for (const [j, part] of partsOf(message).entries()) {
      if (part.type === 'text') continue;
      if (part.type === 'video') {
        images.push({ part, frames: part.frames, field: `messages[${i}].content[${j}].frames` });
        continue;
      }
      const field = `messages[${i}].content[${j}].image`;
      if (!isList(part.image)) {
        images.push({ part, source: part.image, field });
        continue;
      }
      for (const [k, source] of part.image.entries()) {
        // QUIRK(list-options): the size options of a part do not reach the pictures of its list.
        const single: ImagePart = { type: 'image', image: source, exifOrientation: part.exifOrientation };
        images.push({ part: single, source, field: `${field}[${k}]` });
      }
    }
  }
  return images;
}

/** Whether an image part holds several pictures; `Array.isArray` alone doesn't narrow a readonly list. */
export function isList(image: ImagePart['image']): image is readonly ImageSource[] {
  return Array.isArray(image);
}
