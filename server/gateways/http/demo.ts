/** The demo at `/`: the files that `npm run build` made of `demo/`. */
import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import express, { type RequestHandler, type Response, Router } from 'express';
import helmet from 'helmet';
import { SyncError } from '../../errors.js';
import { PACKAGE_FOLDER } from '../../package-folder.js';

const FOLDER = join(PACKAGE_FOLDER, 'dist/demo');
/** For files that carry a hash of their content in their names. */
export const FOREVER = 'public, max-age=31536000, immutable';
const HOST = /^[\w.:[\]-]+$/;

export function serveDemo(folder: string = FOLDER): Router {
  const router = Router();
  router.get('/', (_request, _response, next) => {
    if (existsSync(join(folder, 'index.html'))) return next();
    throw new SyncError('NOT_FOUND', 'The demo is not built: run `npm run build`, or set DEMO=false.');
  });
  const assets = join(folder, 'assets');
  const setHeaders = (response: Response, path: string) =>
    void response.set('Cache-Control', path.startsWith(assets) ? FOREVER : 'no-cache');
  router.use(contentPolicy, express.static(folder, { redirect: false, cacheControl: false, setHeaders }));
  return router;
}

/** The devices of the demo have no tokens. */
export const refuseDemo: RequestHandler = (request, _response, next) => {
  if (request.path !== '/') return next();
  throw new SyncError('NOT_FOUND', 'The demo needs a server with AUTH=none; this one asks for tokens.');
};

/** Without upgrade-insecure-requests, which breaks the page on an address that has no TLS. */
const contentPolicy = helmet.contentSecurityPolicy({
  useDefaults: false,
  directives: {
    defaultSrc: ["'self'"],
    imgSrc: ["'self'", 'data:'],
    connectSrc: ["'self'", (request) => socketsOf(request)],
    objectSrc: ["'none'"],
    scriptSrcAttr: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'self'"],
  },
});

/** Not every browser takes 'self' for the WebSockets of the same host. */
export function socketsOf({ headers: { host = '' } }: IncomingMessage): string {
  return HOST.test(host) ? `ws://${host} wss://${host}` : "'self'";
}
