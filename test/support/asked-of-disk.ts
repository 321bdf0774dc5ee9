/** Requests while the disk takes its time. */
import { vi } from 'vitest';
import { UserDocument } from '../../server/documents/user-document.js';

const PATIENCE = 5_000;

/**
 * Asks, and returns when nothing but the disk is waited for. What it spies with is there until
 * `vi.restoreAllMocks()`.
 */
export async function askedOfDisk<Answer>(
  ask: () => Promise<Answer>,
): Promise<{ readonly answer: Promise<Answer> }> {
  const waits = [
    vi.spyOn(UserDocument.prototype, 'afterConfirmed'),
    vi.spyOn(UserDocument.prototype, 'afterDurable'),
  ];
  const count = () => waits.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  const before = count();
  const answer = ask();
  await vi.waitUntil(() => count() > before, { interval: 1, timeout: PATIENCE });
  return { answer };
}
