/** The storage of one tab fails while another tab puts a document that was written anew in the place of what is stored. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { ClientError } from '../../../client/errors.js';
import { BreakableStorage } from '../../support/breakable-storage.js';
import { drawIdsFrom } from '../../support/drawn-ids.js';
import {
  add,
  beganInMemory,
  edit,
  FULL,
  MINUTE,
  remove,
  risingIds,
  type Tabs,
  takeAnew,
  twoTabs,
} from '../../support/replaced-tabs.js';
import { Tab } from '../../support/tab.js';

beforeEach(risingIds);
afterEach(() => drawIdsFrom(null));

test('[C7 C9 P10] what is made after storage could be read, and not be written, is made on the new document', async () => {
  const { clock, storage, first, second, stored } = await twoTabs();
  storage.failure = FULL;
  await edit(first, 'r', 'x', 1);
  await takeAnew(second);
  storage.failure = null;
  storage.writes = FULL;
  await clock.live(MINUTE);
  await edit(first, 'r', 'y', 2);
  await add(first, 's');
  expect(first.said).not.toContain('broken'); // what it has in memory would be lost
  storage.writes = null;
  await clock.live(MINUTE);
  expect(first.said).toContain('broken');
  expect((await stored()).notes).toEqual({ r: { id: 'r', n: 1, x: 1, y: 2 }, s: { id: 's', n: 1 } });
});

test('[C7 C9 P10] a write that finds the new document, and can not be stored, is made on it later', async () => {
  const { clock, storage, first, second, stored } = await twoTabs();
  await takeAnew(second);
  storage.writes = FULL;
  await edit(first, 'r', 'y', 2);
  expect(first.said).toEqual(['QUOTA']);
  storage.writes = null;
  await clock.live(MINUTE);
  expect(first.said).toEqual(['QUOTA', 'mended', 'broken']);
  expect((await stored()).notes).toEqual({ r: { id: 'r', n: 1, y: 2 } });
});

test('[C7 C9 P10] what was in memory only is edited and deleted on the new document while that is being stored', async () => {
  const { clock, storage, first, second, stored } = await twoTabs();
  storage.failure = FULL;
  await add(first, 's');
  await add(first, 't');
  await takeAnew(second);
  let isStored = (): void => {};
  storage.afterWrite = new Promise((resolve) => {
    isStored = resolve;
  });
  storage.failure = null;
  await clock.live(MINUTE);
  const made = [edit(first, 's', 'n', 2), remove(first, 't')];
  isStored();
  await Promise.all(made);
  expect(first.said).toEqual(['QUOTA', 'mended', 'broken']);
  expect((await stored()).notes).toEqual({ r: { id: 'r', n: 1 }, s: { id: 's', n: 2 } });
});

test('[C7 C9 P10] so is what a tab made that began while storage failed, on the document as it was before', async () => {
  const { clock, inner, second, stored } = await twoTabs();
  await add(second, 't');
  second.replica.confirm(second.last());
  const server = Y.encodeStateAsUpdate(second.replica.doc);
  const { storage, first } = await beganInMemory({ clock, inner }, server);
  await edit(first, 'r', 'n', 2);
  await add(first, 's');
  await remove(first, 't');
  await takeAnew(second);
  storage.failure = null;
  await clock.live(MINUTE);
  expect(first.said).toEqual(['QUOTA', 'mended', 'broken']);
  expect(await stored()).toMatchObject({
    notes: { r: { id: 'r', n: 2 }, s: { id: 's', n: 1 } },
    refused: [],
  });
  expect(Object.keys((await stored()).notes as object)).toEqual(['r', 's']);
});

test('[C7 C9 P10] where it began with the document that is stored, the two are united', async () => {
  const { clock, inner, second, stored } = await twoTabs();
  await takeAnew(second);
  const now = await Tab.open(new BreakableStorage(inner), clock);
  const server = Y.encodeStateAsUpdate(now.replica.doc);
  const { storage, first } = await beganInMemory({ clock, inner }, server);
  await edit(first, 'r', 'n', 2);
  storage.failure = null;
  await clock.live(MINUTE);
  expect(first.said).toEqual(['QUOTA', 'mended']);
  expect(await stored()).toMatchObject({ notes: { r: { id: 'r', n: 2 } }, pending: 1 });
});

describe('[C7 C9 C10] where another tab was told of an erasure, what this one makes is set aside', () => {
  const ERASED = { code: 'ERASED', reason: new ClientError('ERASED').message };

  function expectAside(end: Awaited<ReturnType<Tabs['stored']>>, ids: string[]): void {
    expect(end).toMatchObject({ notes: {}, pending: 0 });
    expect(end.refused.map(({ id }) => id).sort()).toEqual(ids);
    for (const each of end.refused) expect(each).toMatchObject(ERASED);
  }

  test('in memory, while storage failed', async () => {
    const { clock, storage, first, second, stored } = await twoTabs();
    storage.failure = FULL;
    await edit(first, 'r', 'n', 5);
    await add(first, 's');
    await add(second, 'w');
    await second.replica.refused.setAllAside(ERASED);
    storage.failure = null;
    storage.writes = FULL;
    await clock.live(MINUTE);
    expect(first.said).not.toContain('cleared'); // what it has in memory would be lost
    storage.writes = null;
    await clock.live(MINUTE);
    expect(first.said.slice(-2)).toEqual(['mended', 'cleared']);
    expect(first.said).not.toContain('broken');
    expectAside(await stored(), ['r', 's', 'w']);
  });

  test('while what it had in memory is being stored', async () => {
    const { clock, storage, first, second, stored } = await twoTabs();
    storage.failure = FULL;
    await add(first, 's');
    await second.replica.refused.setAllAside(ERASED);
    let isStored = (): void => {};
    storage.afterWrite = new Promise((resolve) => {
      isStored = resolve;
    });
    storage.failure = null;
    await clock.live(MINUTE);
    const made = [edit(first, 'r', 'n', 5), add(first, 't')];
    isStored();
    await Promise.all(made);
    expectAside(await stored(), ['r', 's', 't']);
  });

  test('before it has heard of it', async () => {
    const { first, second, stored } = await twoTabs();
    await second.replica.refused.setAllAside(ERASED);
    await Promise.all([edit(first, 'r', 'n', 5), add(first, 's')]);
    expect(first.said).toEqual(['cleared']);
    expectAside(await stored(), ['r', 's']);
  });
});
