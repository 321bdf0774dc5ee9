/** A disk that gives no error and no answer (P8). */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DiskWatch } from '../../../server/store/disk-watch.js';
import type { LevelStore } from '../../../server/store/level/level-store.js';
import { HangingDisk } from '../../support/hanging-disk.js';
import { LevelFixture } from '../../support/level-fixture.js';
import { Author, notesOf, stateReached, user, writeNotes } from '../../support/notes.js';

const ANNA = user('anna');
const BERT = user('bert');
const PATIENCE = { slow: 5_000, timeout: 30_000 };

/** The time that the store goes by: a test lets it pass, however long the machine takes for what it does meanwhile. */
const pass = (ms: number): void => void vi.advanceTimersByTime(ms);

describe('[P8] a store whose disk hangs', () => {
  let fixture: LevelFixture;
  let disk: HangingDisk;
  let store: LevelStore;
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    fixture = await LevelFixture.create();
    disk = new HangingDisk();
    store = await fixture.open({ patience: PATIENCE, write: disk.write });
    await store.load(ANNA);
  });
  afterEach(async () => {
    disk.answer();
    await fixture.remove();
    vi.useRealTimers();
  });

  it('is slow after a while, still takes commits, and is ready again once the disk has answered', async () => {
    const states: string[] = [];
    store.onState((state) => states.push(state));
    const author = new Author();
    disk.hang();
    const first = store.commit(ANNA, { update: author.set('first', 1), revision: 1 });
    pass(PATIENCE.slow - 500);
    expect(store.state).toBe('ready');
    pass(1_000);
    expect(store.state).toBe('slow');
    const second = store.commit(ANNA, { update: author.set('second', 2), revision: 2 });
    disk.answer();
    await Promise.all([first, second]);
    await stateReached(store, 'ready');
    expect(states).toEqual(['slow', 'ready']);
    expect([store.generation, notesOf(await store.load(ANNA))]).toEqual([1, { first: 1, second: 2 }]);
  });

  it('gives up what waits too long, with all behind it; a load tells later what is there after all', async () => {
    await store.load(BERT);
    const author = await writeNotes(store, ANNA, 2);
    disk.hang();
    const batch = disk.nextBatch();
    const hung = store.commit(ANNA, { update: author.set('late', 1), revision: 3 });
    await batch;
    const queued = store.commit(BERT, { update: new Author().set('never', 1), revision: 1 });
    pass(PATIENCE.timeout);
    await expect(hung).rejects.toMatchObject({ code: 'NOT_SAVED', cause: { message: /does not answer/ } });
    await expect(queued).rejects.toMatchObject({ code: 'NOT_SAVED' });
    expect(store.state).toBe('reopening');
    await expect(store.load(BERT)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect(store.commit(ANNA, { update: null, revision: 3 })).rejects.toMatchObject({
      code: 'NOT_SAVED',
    });
    disk.answer();
    await stateReached(store, 'ready');
    const stored = await store.load(ANNA);
    expect([store.generation, stored.revision]).toEqual([2, 3]);
    expect(notesOf(stored)).toEqual({ n0: 0, n1: 1, late: 1 });
    expect((await store.load(BERT)).updates).toEqual([]);
    await store.commit(ANNA, { update: author.set('next', 1), revision: 4 });
    expect(notesOf(await store.load(ANNA))).toMatchObject({ late: 1, next: 1 });
  });

  it('lets nobody wait longer because another batch was slow before', async () => {
    await store.load(BERT);
    const answerFirst = disk.hang();
    const firstBatch = disk.nextBatch();
    const first = store.commit(ANNA, { update: new Author().set('first', 1), revision: 1 });
    await firstBatch;
    const second = store.commit(BERT, { update: new Author().set('second', 1), revision: 1 });
    const refused = expect(second).rejects.toMatchObject({ code: 'NOT_SAVED' });
    pass(PATIENCE.timeout - 5_000);
    disk.hang(); // for the batch after it
    const secondBatch = disk.nextBatch();
    answerFirst();
    await first;
    await secondBatch;
    pass(5_000);
    await refused;
  });

  it('refuses a load in time, and the next ones at once, until the disk has answered', async () => {
    await writeNotes(store, ANNA, 2);
    store.forget(ANNA);
    disk.alsoReads(store);
    disk.hang();
    const load = store.load(ANNA);
    pass(PATIENCE.timeout);
    await expect(load).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    for (let i = 0; i < 100; i++) {
      await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    }
    disk.answer();
    await stateReached(store, 'ready');
    expect([store.generation, notesOf(await store.load(ANNA))]).toEqual([1, { n0: 0, n1: 1 }]);
  });

  it('loads no more than a thousand documents at a time', async () => {
    disk.alsoReads(store);
    disk.hang();
    const loads = Array.from({ length: 1_000 }, (_, i) => store.load(user(`u${i}`)));
    await expect(store.load(BERT)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    disk.answer();
    await Promise.all(loads);
    expect((await store.load(BERT)).revision).toBe(0);
  });
});

describe('[P8] the time that somebody waits for the disk', () => {
  it('does not count while this process was too busy to hear the answer', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    let now = 0;
    const told: string[] = [];
    const watch = new DiskWatch({
      slow: 5_000,
      timeout: 30_000,
      onChange: (isSlow) => told.push(isSlow ? 'slow' : 'fast'),
      now: () => now,
    });
    const pass = (ms: number): void => {
      now += ms;
      vi.advanceTimersByTime(ms);
    };
    let answer = (): void => {};
    const task = new Promise<void>((resolve) => {
      answer = resolve;
    });
    watch.follow(task, () => told.push('late'));
    now += 60_000; // without a turn of the event loop
    vi.advanceTimersByTime(250);
    expect(told).toEqual([]);
    for (let i = 0; i < 19; i++) pass(250);
    expect(told).toEqual(['slow']);
    for (let i = 0; i < 99; i++) pass(250);
    expect(told).toEqual(['slow', 'late']);
    answer();
    await task;
    await Promise.resolve();
    expect(told).toEqual(['slow', 'late', 'fast']);
    vi.useRealTimers();
  });
});
