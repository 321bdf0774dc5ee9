import { numbers } from '../../shared/message-encoders.js';

/** An update with one struct that Yjs has deleted and forgotten: it takes these clocks, and is nothing. */
export const nothingAt = (client: number, clock: number, length: number): Uint8Array =>
  // One client with one struct, which is of kind 0, and no deletions.
  numbers(1, 1, client, clock, 0, length, 0);
