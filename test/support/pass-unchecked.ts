import { onTestFinished, vi } from 'vitest';
import { UpdateCheck } from '../../server/documents/intake/check.js';

/**
 * For one test, updates are not compared with the document before they are applied: no input is known any more that
 * passes the comparison and makes Yjs throw.
 */
export function passUnchecked(): void {
  const run = vi.spyOn(UpdateCheck.prototype, 'run').mockImplementation(() => {});
  const part = vi.spyOn(UpdateCheck, 'newPartOf').mockImplementation((_, update) => update);
  onTestFinished(() => {
    run.mockRestore();
    part.mockRestore();
  });
}
