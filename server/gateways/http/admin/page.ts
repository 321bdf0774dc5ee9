/** The page at `/admin`: the files that `npm run build` made of `admin/`. Nothing in them is secret. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { SyncError } from '../../../errors.js';
import { PACKAGE_FOLDER } from '../../../package-folder.js';
import { FOREVER, socketsOf } from '../demo.js';

const FOLDER = join(PACKAGE_FOLDER, 'dist/admin');
const INDEX = join(FOLDER, 'index.html');

export function serveAdminPage(app: Express): void {
  app.get(['/admin', '/admin/'], contentPolicy, (_request, response) => {
    if (!existsSync(INDEX))
      throw new SyncError('NOT_FOUND', 'The admin page is not built: run `npm run build`.');
    response.set('Cache-Control', 'no-cache').sendFile(INDEX);
  });
  const setHeaders = (response: { set(name: string, value: string): unknown }) =>
    void response.set('Cache-Control', FOREVER);
  const assets = express.static(join(FOLDER, 'assets'), { index: false, cacheControl: false, setHeaders });
  app.use('/admin/assets', contentPolicy, assets);
}

/** Nothing from elsewhere, nothing inline, in no frame. */
const contentPolicy: RequestHandler = helmet.contentSecurityPolicy({
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'", 'data:'],
    connectSrc: ["'self'", (request) => socketsOf(request)],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  },
});
