/** Asks another node whether it takes traffic, or only whether it is there. */
import { request as open } from 'node:http';
import { connect } from 'node:net';
import { HOP_HEADER } from './hop-header.js';
import { CONNECT_TIMEOUT, type Target, untilTaken, whyNot } from './hop-target.js';
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

/** Whether anything gets to the machine of a node and back: its system answers for a process that is busy, stopped or gone. */
export function isReachable(at: Target['at']): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ ...at, timeout: CONNECT_TIMEOUT });
    const settle = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', (error) => settle(whyNot(error) === 'refused'));
  });
}
