import { newId } from './new-id.js';
import type { Clock, Fetch, WebSocketConstructor } from './platform.js';

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, task) {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};

/** What every platform with the standard globals has; they are looked up when they are needed. */
export const standardParts = {
  get WebSocket(): WebSocketConstructor | undefined {
    return globalThis.WebSocket as unknown as WebSocketConstructor | undefined;
  },
  fetch: ((url, init) => globalThis.fetch(url, init as RequestInit)) satisfies Fetch,
  clock: systemClock,
  random: () => Math.random(),
  newId: () => newId(Date.now()),
} as const;
