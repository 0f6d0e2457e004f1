/**
 * Replacements for the files that need Node, for web pages. The `browser` field of package.json, which bundlers read, maps those
 * files to this one. Each function has the name and the type of the one that it replaces, and throws an error that says what to
 * do instead.
 */
import { CheckpointError, GpuError, ImageError } from './errors.ts';
import type { openDawn as openDawnInNode } from './gpu/dawn.node.ts';
import type { folderFiles as folderFilesInNode } from './model/checkpoint/checkpointFolder.node.ts';
import type { readImageFile as readImageFileInNode } from './processor/image/imageFile.node.ts';

/** @throws GpuError GPU_NO_ADAPTER */
export const openDawn: typeof openDawnInNode = async () => {
  throw new GpuError('GPU_NO_ADAPTER', 'this page has no WebGPU: navigator.gpu is missing', {
    hint: 'serve it over https or from localhost, and open it in a browser that has WebGPU',
  });
};

/** @throws CheckpointError CKPT_FILE_MISSING */
export const folderFiles: typeof folderFilesInNode = (path) => {
  throw new CheckpointError('CKPT_FILE_MISSING', `${path}: a page can't read folders`, {
    file: path,
    hint: 'for a folder on a server call load(urlFiles(url)), or pass your own ModelFiles',
  });
};

/** @throws ImageError IMAGE_NOT_FOUND */
export const readImageFile: typeof readImageFileInNode = async (_path, name) => {
  throw new ImageError('IMAGE_NOT_FOUND', `${name}: paths can only be read in Node`, {
    hint: 'pass the bytes of the file',
  });
};
