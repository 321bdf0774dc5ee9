/** What a stop leaves to the next start: no document has to be loaded edit by edit (P4, O4). */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { SMALL_DOCUMENT } from '../../../../server/documents/compaction/document-compaction.js';
import type { UserDocument } from '../../../../server/documents/user-document.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { DeviceId, UserId } from '../../../../shared/names.js';
import { registryOf } from '../../../support/document.js';
import { user } from '../../../support/notes.js';
import { useJson, useNative, useServer } from '../../../support/use.js';

const ORIGIN = { via: 'json' as const, device: 'phone' as DeviceId, actor: null, subscriber: null };
const [ANNA, BEN, CLEO] = [user('anna'), user('ben'), user('cleo')];

function edit(document: UserDocument, times: number, text = ''): void {
  for (let n = 0; n < times; n++) {
    document.write(ORIGIN, (doc) => void doc.getMap('notes').set(`n${n}`, new Y.Map([['text', text || n]])));
  }
}

const storedOf = (store: MemoryStore, name: UserId): number => store.contents.get(name)?.updates.length ?? 0;

test('[P4] [O4] what was edited up to a stop is one update when the server starts again', async () => {
  const store = new MemoryStore();
  const server = await useServer({}, { store });
  const tablet = await useJson(server, 'anna', 'tablet');
  for (let n = 0; n < 20; n++) {
    tablet.update('notes', { id: `n${n}` });
    await tablet.saved();
  }
  expect(storedOf(store, ANNA)).toBe(20);
  expect(await server.app.close()).toBe(true);
  expect(storedOf(store, ANNA)).toBe(1);
  const again = await useServer({}, { store: new MemoryStore(store.contents) });
  const phone = await useNative(again, 'anna', 'phone');
  expect(phone.doc.getMap('notes').size).toBe(20);
});

describe('[P4] before a stop', () => {
  async function world() {
    const [store, compacted] = [new MemoryStore(), [] as UserId[]];
    let now = 0;
    const uptime = () => now;
    const registry = registryOf(store, { uptime, onCompacted: (who) => compacted.push(who) });
    const open = async (name: UserId) => (await registry.open(name)).document;
    const pass = (ms: number) => {
      now += ms;
    };
    return { store, registry, compacted, open, pass };
  }

  test('those come first that would take the longest, until the time is over', async () => {
    const { registry, compacted, open, pass } = await world();
    const [anna, ben, cleo] = [await open(ANNA), await open(BEN), await open(CLEO)];
    edit(anna, 3);
    edit(ben, 9);
    edit(cleo, 6);
    await registry.flush();
    const run = cleo.compaction.runForRest.bind(cleo.compaction);
    cleo.compaction.runForRest = () => {
      run();
      pass(100);
    };
    await registry.compactLast(100);
    await registry.flush();
    expect(compacted).toEqual([BEN, CLEO]);
  });

  test('a large one is waited for, which goes on in steps', async () => {
    const { store, registry, open } = await world();
    const anna = await open(ANNA);
    edit(anna, 200, 'x'.repeat((2 * SMALL_DOCUMENT) / 200));
    edit(anna, 200, 'y'.repeat((2 * SMALL_DOCUMENT) / 200));
    await registry.flush();
    await registry.compactLast(1_000);
    await registry.flush();
    expect([anna.compaction.isUnderWay, storedOf(store, ANNA)]).toEqual([false, 1]);
  });

  test('[N3] nothing is handed to a store that takes nothing', async () => {
    const { store, registry, open } = await world();
    const [anna, ben] = [await open(ANNA), await open(BEN)];
    edit(anna, 5);
    await registry.flush();
    store.failNext({ kept: false, stayDown: true });
    edit(ben, 1);
    await expect(ben.durable()).rejects.toMatchObject({ code: 'NOT_SAVED' });
    await registry.compactLast(1_000);
    expect([anna.failure, storedOf(store, ANNA)]).toEqual([null, 5]);
  });
});
