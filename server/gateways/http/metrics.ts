/** `GET /metrics` (O3). */
import type { RequestHandler } from 'express';
import type { Metrics } from '../../metrics.js';

export const getMetrics =
  (metrics: Metrics): RequestHandler =>
  (_request, response) => {
    response.set('Cache-Control', 'no-store');
    response.type('text/plain; version=0.0.4').send(metrics.render());
  };
