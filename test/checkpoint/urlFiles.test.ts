/** Reads from a local server that answers with ranges, without ranges, with errors, and with files that change. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { readAll } from '../../src/model/checkpoint/byteSource.ts';
import { urlFiles } from '../../src/model/checkpoint/urlFiles.ts';

const MIB = 2 ** 20;
const large = Uint8Array.from({ length: 9 * MIB + 5 }, (_, i) => i ^ (i >> 8) ^ (i >> 16));
const small = large.slice(0, 1000);

const requests: string[] = [];
const answers: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  '/ranges/small.json': (request, response) => sendRange(request, response, small),
  '/ranges/large%20one.bin': (request, response) => sendRange(request, response, large),
  '/ranges/empty.bin': (_, response) => response.writeHead(416, { 'content-range': 'bytes */0' }).end(),
  '/whole/large.bin': (_, response) => response.end(large),
  '/spa/missing.json': (_, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
  '/bad/forbidden.json': (_, response) => response.writeHead(403).end('no'),
  '/bad/broken.json': (_, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('half');
    setTimeout(() => response.destroy(), 20);
  },
  '/bad/sizeless.bin': (_, response) => response.writeHead(206).end(small),
  '/bad/short.bin': (request, response) => sendRange(request, response, large, { dropped: 1 }),
  '/bad/replaced.bin': (request, response) =>
    sendRange(request, response, large, { etag: `"${requests.length}"` }),
  '/bad/grown.bin': (request, response) =>
    sendRange(request, response, large, { total: large.length + requests.length }),
  '/bad/stubborn.bin': (request, response) => {
    if (request.headers.range?.startsWith('bytes=0-')) sendRange(request, response, large);
    else response.end(large);
  },
};

function sendRange(
  { headers }: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
  { dropped = 0, etag = '"1"', total = bytes.length } = {},
): void {
  const [begin, last] = (headers.range ?? '').replace('bytes=', '').split('-').map(Number);
  const part = bytes.subarray(begin, last + 1);
  const contentRange = `bytes ${begin}-${begin + part.length - 1}/${total}`;
  response.writeHead(206, { 'content-range': contentRange, etag });
  response.end(begin > 0 ? part.subarray(dropped) : part);
}

const server = createServer((request, response) => {
  requests.push(`${request.url} ${request.headers.range}`);
  const answer = answers[request.url as string];
  if (answer) answer(request, response);
  else response.writeHead(404).end();
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
afterAll(() => server.close());
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

async function open(folder: string, fileName: string) {
  requests.length = 0;
  const source = await urlFiles(`${origin}/${folder}`).open(fileName);
  if (source === null) throw new Error(`${fileName} is not there`);
  return source;
}

describe('a server that supports ranges', () => {
  it('a small file needs only the first request', async () => {
    const source = await open('ranges', 'small.json');
    expect(source).toMatchObject({ name: 'small.json', sizeBytes: 1000 });
    expect(await readAll(source)).toEqual(small);
    expect(requests).toEqual(['/ranges/small.json bytes=0-8388607']);
    await source.close();
    await source.close();
  });

  it('a large file is read range by range, and its first 8 MiB only once', async () => {
    const source = await open('ranges/', 'large one.bin');
    expect(source.sizeBytes).toBe(large.length);
    const ranges = [
      [0, 8],
      [8 * MIB - 4, 4],
      [8 * MIB - 4, 5],
      [9 * MIB, 5],
      [large.length, 0],
    ];
    for (const [offset, length] of ranges) {
      const target = new Uint8Array(length);
      await source.readInto(offset, target);
      expect(target).toEqual(large.slice(offset, offset + length));
    }
    expect(requests.map((line) => line.split(' ')[1])).toEqual([
      'bytes=0-8388607',
      'bytes=8388604-8388608',
      'bytes=9437184-9437188',
    ]);
    const past = source.readInto(9 * MIB, new Uint8Array(6));
    await expect(past).rejects.toMatchObject({ name: 'CheckpointError', code: 'CKPT_SHORT_READ' });
  });

  it('an empty file', async () => {
    expect((await open('ranges', 'empty.bin')).sizeBytes).toBe(0);
  });
});

it('a server without ranges sends the whole file', async () => {
  const source = await open('whole', 'large.bin');
  expect(Buffer.compare(await readAll(source), large)).toBe(0);
  expect(requests).toHaveLength(1);
});

describe('missing files', () => {
  it.each([
    ['ranges', 'none.json'],
    ['spa', 'missing.json'],
  ])('%s/%s', async (folder, fileName) => {
    expect(await urlFiles(`${origin}/${folder}`).open(fileName)).toBeNull();
  });

  it.each(['../secret', 'a/b', 'a%2fb', ''])('%j is not a plain name', async (fileName) => {
    const error = { name: 'CheckpointError', code: 'CKPT_PATH_UNSAFE' };
    await expect(urlFiles(origin).open(fileName)).rejects.toMatchObject(error);
  });
});

it("the query of the folder's URL is sent with each file", async () => {
  await urlFiles(`${origin}/ranges?key=1`).open('small.json');
  expect(requests.at(-1)).toContain('/ranges/small.json?key=1 ');
});

describe('what can go wrong', () => {
  it.each([
    ['forbidden.json', 'answers 403'],
    ['broken.json', 'broke off'],
    ['sizeless.bin', 'Content-Range'],
  ])('%s: opening fails', async (fileName, text) => {
    const message = expect.stringContaining(text);
    const error = { name: 'CheckpointError', code: 'CKPT_READ', message };
    await expect(open('bad', fileName)).rejects.toMatchObject(error);
  });

  it.each([
    ['short.bin', 'CKPT_SHORT_READ'],
    ['replaced.bin', 'CKPT_CHANGED'],
    ['grown.bin', 'CKPT_CHANGED'],
    ['stubborn.bin', 'CKPT_READ'],
  ])('%s: reading fails with %s', async (fileName, code) => {
    const source = await open('bad', fileName);
    const target = new Uint8Array(4);
    await expect(source.readInto(9 * MIB, target)).rejects.toMatchObject({ name: 'CheckpointError', code });
    expect(target).toEqual(new Uint8Array(4));
  });

  it('no server', async () => {
    const error = {
      name: 'CheckpointError',
      code: 'CKPT_READ',
      message: expect.stringContaining('no answer'),
    };
    await expect(urlFiles('http://127.0.0.1:1').open('config.json')).rejects.toMatchObject(error);
  });

  it.each(['models/m2-tiny', '', 'file:///models', 'data:,x'])(
    '%j is not the address of a folder',
    (baseUrl) => {
      const error = expect.objectContaining({ name: 'InputError', code: 'INPUT_TYPE' });
      expect(() => urlFiles(baseUrl)).toThrow(error);
    },
  );
});
