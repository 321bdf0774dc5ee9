/** What is answered before the store is open. */
import type { ErrorRequestHandler, Express } from 'express';
import { SyncError } from '../../errors.js';
import { putOffFor } from '../guard/overload.js';
import type { HttpOptions } from './request.js';
import { frontOf, tell, toSyncError } from './routes.js';

/** `/health` and `/ready`, and to everything else: come again. */
export function createStartingHttp(options: Pick<HttpOptions, 'config' | 'hindrances' | 'random'>): Express {
  const app = frontOf({ ...options, warnings: () => undefined });
  app.use((_request, response) => {
    // What of a body is still to come is not worth reading.
    const seconds = Math.ceil(putOffFor(options.random));
    response.set({ 'Retry-After': String(seconds), Connection: 'close' });
    throw new SyncError('STARTING');
  });
  const answerError: ErrorRequestHandler = (error: unknown, _request, response, next) => {
    if (response.headersSent) next(error);
    else tell(response, toSyncError(error));
  };
  app.use(answerError);
  return app;
}
