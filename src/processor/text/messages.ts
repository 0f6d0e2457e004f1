/** The types of a conversation. */
import type { ImageSource } from '../image/imageSource.ts';

export interface TextPart {
  type: 'text';
  text: string;
}

export interface SizeOptions {
  /** Limits of the area after the first resize, in pixels; for a clip, of each frame. */
  minPixels?: number;
  maxPixels?: number;
  /** Size to resize to, in pixels, rounded to multiples of 28; give both or neither. */
  resizedHeight?: number;
  resizedWidth?: number;
}

export interface ImagePart extends SizeOptions {
  type: 'image';
  /** One image, or a list of images. */
  image: ImageSource | readonly ImageSource[];
  /** Whether to turn a JPEG according to its EXIF orientation before resizing. Default 'ignore', as the reference. */
  exifOrientation?: 'ignore' | 'apply';
}

/** A clip: frames of the same size, in order of time. */
export interface VideoPart extends SizeOptions {
  type: 'video';
  frames: readonly ImageSource[];
  /** Seconds from one pair of frames to the next, over 0 and at most 60. Only m_rope uses it. */
  secondsPerGrid?: number;
}

export type Part = TextPart | ImagePart | VideoPart;

export interface Message {
  role: 'system' | 'user' | 'assistant';
  /** A string is the same as one text part. */
  content: string | readonly Part[];
}

/** The parts of a message in order; string content as one text part. */
export function partsOf(message: Message): readonly Part[] {
  return typeof message.content === 'string' ? [{ type: 'text', text: message.content }] : message.content;
}

/** One image of a conversation. */
export interface PlacedImage {
  /** The part with the options for this image. */
  readonly part: ImagePart;
  readonly source: ImageSource;
  /** Argument path for error messages: `messages[0].content[1].image`, in a list `….image[2]`. */
  readonly field: string;
}

/** One clip of a conversation. */
export interface PlacedVideo {
  /** The part with the options for all of its frames. */
  readonly part: VideoPart;
  readonly frames: readonly ImageSource[];
  /** Argument path for error messages: `messages[0].content[1].frames`. */
  readonly field: string;
}

/**
 * Lists every image and every clip in prompt order. Lists of images are flattened.
 *
 * @param messages as returned by `checkMessages`
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
        // QUIRK(list-options): the size options of a part do not apply to the images of its list.
        const single: ImagePart = { type: 'image', image: source, exifOrientation: part.exifOrientation };
        images.push({ part: single, source, field: `${field}[${k}]` });
      }
    }
  }
  return images;
}

/** Whether `image` is a list. (`Array.isArray` alone does not narrow a readonly list.) */
export function isList(image: ImagePart['image']): image is readonly ImageSource[] {
  return Array.isArray(image);
}
