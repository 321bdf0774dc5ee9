/** Asks another node whether it takes traffic. */
import { request as open } from 'node:http';
import { HOP_HEADER } from './hop-header.js';
import { type Target, untilTaken, whyNot } from './hop-target.js';
import type { Doubt } from './placement.js';

export const READY = '/ready';

/** What it says of itself, or why nothing was heard of it; `slow`: it lives, and is not ready. */
export function askReady({ at, header, timeout }: Target): Promise<'ready' | Doubt> {
  const headers = { [HOP_HEADER]: header, Connection: 'close' };
  const asked = open({ ...at, path: READY, headers, agent: false });
  const inTime = untilTaken(asked, timeout);
  return new Promise((resolve) => {
    let isHeard = false;
    asked.once('information', () => {
      isHeard = true;
    });
    asked.once('response', ({ statusCode, headers }) => {
      const isRefused = HOP_HEADER.toLowerCase() in headers;
      resolve(statusCode === 200 ? 'ready' : isRefused ? 'not let in' : 'slow');
      asked.destroy();
    });
    asked.on('error', (error) => resolve(whyNot(error, isHeard)));
    asked.once('close', inTime);
    asked.end();
  });
}
