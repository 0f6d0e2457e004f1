/** A checkpoint folder on a server, read range by range; the counterpart of `folderFiles` for pages. */
import { CheckpointError, InputError } from '../../errors.ts';
import {
  assertSafeFileName,
  type ByteSource,
  type ModelFiles,
  memorySource,
  shortRead,
} from './byteSource.ts';

/** Size of a file's first request. Small files and the headers of large ones need no other. */
const FIRST_BYTES = 8 * 2 ** 20;

/**
 * The files of the folder at `baseUrl`. If the server does not support ranges, an open file is kept whole in memory.
 *
 * @param baseUrl absolute, or relative to the page, e.g. `models/m2-tiny`
 * @returns files whose `open` and `readInto` throw CheckpointError: CKPT_PATH_UNSAFE, CKPT_READ (no answer, or a wrong one),
 *   CKPT_SHORT_READ, CKPT_CHANGED (size or ETag differ from those at `open`)
 * @throws InputError INPUT_TYPE if `baseUrl` is not an http or https URL
 */
export function urlFiles(baseUrl: string | URL): ModelFiles {
  const base = absoluteUrl(baseUrl);
  return {
    name: base.href,
    async open(fileName) {
      assertSafeFileName(fileName, base.href);
      const url = new URL(base);
      url.pathname = `${base.pathname.replace(/\/$/, '')}/${fileName}`;
      const response = await request(url, 0, FIRST_BYTES);
      // Some servers answer every unknown path with their start page. No file of a checkpoint is HTML.
      const isPage = response.headers.get('content-type')?.startsWith('text/html');
      if (response.status === 404 || response.status === 410 || isPage) {
        await response.body?.cancel();
        return null;
      }
      if (response.status === 416) return memorySource(fileName, new Uint8Array(0)); // no first byte: an empty file
      const first = await bytesOf(response, url, [200, 206]);
      if (response.status === 200) return memorySource(fileName, first);
      const sizeBytes = totalBytes(response);
      if (sizeBytes === null)
        throw readError(url, 'the answer does not give the size of the file', RANGE_HINT);
      if (sizeBytes <= first.byteLength) return memorySource(fileName, first);
      return rangeSource(fileName, url, { sizeBytes, first, etag: response.headers.get('etag') });
    },
  };
}

const ANSWER_HINT = 'check the address; a server of another origin must send Access-Control-Allow-Origin';
const RANGE_HINT = 'a server of another origin must send Access-Control-Expose-Headers: Content-Range';

interface OpenedFile {
  readonly sizeBytes: number;
  /** The file's first bytes. */
  readonly first: Uint8Array;
  readonly etag: string | null;
}

function rangeSource(name: string, url: URL, { sizeBytes, first, etag }: OpenedFile): ByteSource {
  return {
    name,
    sizeBytes,
    async readInto(offset, target) {
      const end = offset + target.byteLength;
      if (end === offset) return; // HTTP has no empty ranges
      if (end > sizeBytes) throw shortRead(this, offset, target.byteLength);
      if (end <= first.byteLength) return target.set(first.subarray(offset, end));
      const response = await request(url, offset, target.byteLength);
      const bytes = await bytesOf(response, url, [206]);
      if (totalBytes(response) !== sizeBytes || response.headers.get('etag') !== etag) {
        throw new CheckpointError('CKPT_CHANGED', `${name} was changed or replaced while it was being read`, {
          file: name,
          hint: 'load again',
        });
      }
      if (bytes.byteLength !== target.byteLength) throw shortRead(this, offset, target.byteLength);
      target.set(bytes);
    },
    async close() {},
  };
}

async function request(url: URL, offset: number, sizeBytes: number): Promise<Response> {
  // Without text/html in `accept`, development servers answer 404 if there is no file.
  const headers = { range: `bytes=${offset}-${offset + sizeBytes - 1}`, accept: 'application/octet-stream' };
  try {
    return await fetch(url, { headers });
  } catch (cause) {
    throw readError(url, 'there is no answer', ANSWER_HINT, cause);
  }
}

async function bytesOf(response: Response, url: URL, allowed: readonly number[]): Promise<Uint8Array> {
  if (!allowed.includes(response.status)) {
    await response.body?.cancel();
    throw readError(url, `the server answers ${response.status}`, 'open the address in a browser to see why');
  }
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw readError(url, 'the answer broke off', 'load again', cause);
  }
}

/** @returns the size of the whole file from `Content-Range: bytes 0-99/1234`; null if it is missing */
function totalBytes(response: Response): number | null {
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  return total === undefined ? null : Number(total);
}

function absoluteUrl(baseUrl: string | URL): URL {
  try {
    const url = new URL(baseUrl, globalThis.location?.href);
    if (/^https?:$/.test(url.protocol)) return url;
  } catch {
    // not a URL: the error below
  }
  throw new InputError('INPUT_TYPE', `${String(baseUrl)} is not an http or https URL`, {
    field: 'baseUrl',
    hint: 'in Node give an absolute URL; for a folder on disk give its path to load()',
  });
}

function readError(url: URL, what: string, hint: string, cause?: unknown): CheckpointError {
  return new CheckpointError('CKPT_READ', `${url.href} can't be read: ${what}`, {
    file: url.href,
    hint,
    cause,
  });
}
