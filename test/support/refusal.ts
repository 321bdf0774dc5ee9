import { expect } from 'vitest';
import { SyncError } from '../../server/errors.js';
import { scanUpdate } from '../../server/protocol/scan.js';

/** The SyncError that `read` throws; fails on any other outcome. */
export function refusal(read: () => unknown): SyncError {
  try {
    read();
  } catch (error) {
    if (error instanceof SyncError) return error;
    throw error;
  }
  throw new Error('not refused');
}

export function expectMalformed(update: Uint8Array, message: string | RegExp): void {
  const error = refusal(() => scanUpdate(update, { maxDepth: 64 }));
  expect(error.code).toBe('MALFORMED_UPDATE');
  expect(error.message).toMatch(message);
}
