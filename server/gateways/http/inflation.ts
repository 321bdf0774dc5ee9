/**
 * Bodies that come compressed. One is inflated only when all of it is there, up to the limit, and one at a time:
 * a slow sender never holds more memory than it has sent.
 */
import { kMaxLength } from 'node:buffer';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import express, { type Request, type RequestHandler, type Response } from 'express';
import { SyncError } from '../../errors.js';
import { chargeBody, type HttpOptions } from './request.js';

type Decompress = (body: Buffer, options: { readonly maxOutputLength: number }) => Promise<Buffer>;

const decompress = new Map<string, Decompress>([
  ['gzip', promisify(gunzip)],
  ['x-gzip', promisify(gunzip)],
  ['deflate', promisify(inflate)],
  ['br', promisify(brotliDecompress)],
]);

export interface Reading {
  /** Largest body, in bytes; of a compressed one, of what it becomes. */
  readonly limit: number;
  /** Reads a body that is not compressed. */
  readonly plain: RequestHandler;
  /** What becomes of the bytes of one that was. */
  readonly read: (body: Buffer, request: Request, response: Response) => unknown;
}

let last: Promise<unknown> = Promise.resolve();

/** Reads the body, whichever way it comes. */
export function bodyReader(options: HttpOptions, { limit, plain, read }: Reading): RequestHandler {
  const whole = express.raw({ limit, type: () => true });
  return (request, response, next) => {
    const encoding = (request.headers['content-encoding'] ?? 'identity').toLowerCase();
    if (encoding === 'identity') return plain(request, response, next);
    delete request.headers['content-encoding']; // it is to be read as it is
    return whole(request, response, (error?: unknown) => {
      if (error !== undefined) return next(error);
      const task = () => inflated(encoding, request.body, limit);
      const done = last.then(task, task);
      last = done.catch(() => {});
      done
        .then((body) => {
          chargeBody(options, request, response, body.length);
          request.body = read(body, request, response);
        })
        .then(() => next(), next);
    });
  };
}

async function inflated(encoding: string, body: unknown, limit: number): Promise<Buffer> {
  const run = decompress.get(encoding);
  if (run === undefined) {
    throw new SyncError('INVALID_MESSAGE', 'The Content-Encoding is not known; gzip, deflate and br are.');
  }
  if (!Buffer.isBuffer(body)) return Buffer.alloc(0);
  try {
    return await run(body, { maxOutputLength: Math.min(limit, kMaxLength) });
  } catch (cause) {
    const isTooLarge = cause instanceof RangeError;
    if (isTooLarge)
      throw new SyncError('MESSAGE_TOO_LARGE', 'The body is larger than MAX_HTTP_BODY once inflated.');
    throw new SyncError('INVALID_MESSAGE', 'The body is not compressed as its Content-Encoding says.', {
      cause,
    });
  }
}
