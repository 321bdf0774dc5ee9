/**
 * Answers go compressed to clients that ask for it. That is done by the threads of zlib: the event loop does not
 * wait.
 */
import { promisify } from 'node:util';
import { brotliCompress, constants, createBrotliCompress, createGzip, gzip } from 'node:zlib';
import type { Request, Response } from 'express';
import { hasGone } from '../../net/gone.js';
import { charge, type HttpOptions } from './request.js';

/** What fits into one packet as it is, in bytes. */
const SMALL = 1_400;
/** Above it, brotli takes five times as long for 4 % less. */
const QUALITY = { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } };

const compress = {
  gzip: promisify(gzip),
  br: (body: Buffer): Promise<Buffer> => promisify(brotliCompress)(body, QUALITY),
} as const;

type Encoding = keyof typeof compress;

/** What the client likes best of what there is; `null` for the body as it is. */
function wantedBy(request: Request): Encoding | null {
  const wanted = request.acceptsEncodings('gzip', 'br', 'identity');
  return wanted === 'gzip' || wanted === 'br' ? wanted : null;
}

/** Sends a body that is there as a whole. It is paid for by its full size: that is the work which it made. */
export async function sendBody(
  options: HttpOptions,
  request: Request,
  response: Response,
  body: Buffer,
): Promise<void> {
  const send = await packed(options, request, response, body);
  send();
}

/** The same, for one who has something to do as it leaves: that is when what this returns is called. */
export async function packed(
  options: HttpOptions,
  request: Request,
  response: Response,
  body: Buffer,
): Promise<() => void> {
  response.vary('Accept-Encoding');
  const encoding = body.length < SMALL ? null : wantedBy(request);
  if (encoding === null) return () => response.send(body);
  const bytes = await compress[encoding](body);
  return () => {
    if (hasGone(response)) return;
    charge(options, request, 0, body.length - bytes.length);
    encoded(response, encoding);
    response.send(bytes);
  };
}

export function sendJson(
  options: HttpOptions,
  request: Request,
  response: Response,
  value: object,
): Promise<void> {
  response.type('json');
  return sendBody(options, request, response, Buffer.from(JSON.stringify(value)));
}

/** What a body that is written bit by bit has to go through before it is sent. */
export function packer(request: Request, response: Response): NodeJS.ReadWriteStream[] {
  response.vary('Accept-Encoding');
  const encoding = wantedBy(request);
  if (encoding === null) return [];
  encoded(response, encoding);
  return [encoding === 'gzip' ? createGzip() : createBrotliCompress(QUALITY)];
}

/** The same content in other bytes: a strong ETag stands for the bytes, a weak one for the content. */
function encoded(response: Response, encoding: Encoding): void {
  response.set('Content-Encoding', encoding);
  const etag = response.get('ETag');
  if (etag !== undefined) response.set('ETag', `W/${etag}`);
}
