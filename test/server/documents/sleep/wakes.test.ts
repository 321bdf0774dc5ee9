import { describe, expect, it } from 'vitest';
import { Wakes } from '../../../../server/documents/sleep/wakes.js';
import { SyncError } from '../../../../server/errors.js';
import type { StoreState } from '../../../../server/store/store.js';

/** As many as are woken at once, and one behind them. */
function full(state: StoreState) {
  const wakes = new Wakes({ state });
  const fails: ((error: SyncError) => void)[] = [];
  const never = () => new Promise<string>((_, fail) => fails.push(fail));
  const first = Array.from({ length: 100 }, () => wakes.run(never).catch(({ code }: SyncError) => code));
  const last = wakes.run(async () => 'woken');
  return {
    first,
    last,
    fail: (code: 'STORE_UNAVAILABLE' | 'DOCUMENT_CORRUPT') => fails[0]?.(new SyncError(code)),
  };
}

describe('the queue of documents that are woken', () => {
  it.each(['STORE_UNAVAILABLE', 'DOCUMENT_CORRUPT'] as const)(
    '[P5] %s of one is not that of the next',
    async (code) => {
      const { first, last, fail } = full('ready');
      fail(code);
      expect(await first[0]).toBe(code);
      expect(await last).toBe('woken');
    },
  );

  it('[P8] where the disk does not answer, nobody waits for that one after the other', async () => {
    const { last, fail } = full('slow');
    fail('STORE_UNAVAILABLE');
    await expect(last).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });
});
