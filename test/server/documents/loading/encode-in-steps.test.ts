/** What is encoded in short steps is what is encoded at once, and all that others change meanwhile reaches the client. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { Origin } from '../../../../server/documents/changes.js';
import {
  type Encoded,
  encodeInSteps,
  lacksMuch,
} from '../../../../server/documents/loading/encode-in-steps.js';
import type { UserDocument } from '../../../../server/documents/user-document.js';
import { SyncError } from '../../../../server/errors.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { DeviceId, UserId } from '../../../../shared/names.js';
import { openDocument } from '../../../support/document.js';
import { docsOf, edits } from '../../../support/edited-docs.js';
import { client, jsonOfDoc } from '../../../support/replicas.js';
import { runs } from '../../../support/runs.js';

/** Runs all steps, and `between` after each. */
function finished(steps: Generator<void, Encoded>, between: () => void = () => {}): Encoded {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    between();
  }
}

const stepSizes = fc.integer({ min: 1, max: 5 });

test('[N2] what any client lacks is encoded in steps byte by byte as Yjs does it', () => {
  fc.assert(
    fc.property(edits, stepSizes, fc.double({ min: 0, max: 1, noNaN: true }), (made, step, part) => {
      const [doc] = docsOf(made) as [Y.Doc];
      const has = Y.decodeStateVector(Y.encodeStateVector(doc));
      for (const [id, clock] of has) has.set(id, Math.floor(clock * part));
      for (const known of [has, new Map<number, number>(), new Map([[77, 5]])]) {
        const atOnce = Y.encodeStateAsUpdate(doc, Y.encodeStateVector(known));
        expect(finished(encodeInSteps(doc, known, step)).update).toEqual(atOnce);
      }
    }),
    { numRuns: runs(300) },
  );
});

test('[N2] [D1] whoever gets that, and what came since it was begun, has all of the document', () => {
  fc.assert(
    fc.property(edits, stepSizes, fc.double({ min: 0, max: 1, noNaN: true }), (made, step, part) => {
      const updates: Uint8Array[] = [];
      docsOf(made, (doc) => doc.on('update', (update: Uint8Array) => updates.push(update)));
      const later = updates.splice(Math.floor(updates.length * part));
      const [server, device] = [client(1), client(2)];
      for (const update of updates) Y.applyUpdate(server, update);
      const left = [...later];
      const { update: answer, clocks } = finished(encodeInSteps(server, new Map(), step), () => {
        const update = left.shift();
        if (update !== undefined) Y.applyUpdate(server, update);
      });
      for (const update of left) Y.applyUpdate(server, update);
      Y.applyUpdate(device, answer);
      // As it is noted of a snapshot, and compared by who checks the database.
      expect(new Map(clocks)).toEqual(Y.decodeStateVector(Y.encodeStateVectorFromUpdate(answer)));
      // Nothing in it waits for what came later.
      expect([device.store.pendingStructs, device.store.pendingDs]).toEqual([null, null]);
      for (const update of later) Y.applyUpdate(device, update);
      expect(jsonOfDoc(device)).toEqual(jsonOfDoc(server));
      expect(Y.decodeStateVector(Y.encodeStateVector(device))).toEqual(
        Y.decodeStateVector(Y.encodeStateVector(server)),
      );
    }),
    { numRuns: runs(300) },
  );
});

/** What is in an update with its content, though the document has deleted it. */
function deletedIn(update: Uint8Array, doc: Y.Doc): Y.ID[] {
  const isLiving = (struct: Y.Item | Y.GC | Y.Skip): struct is Y.Item =>
    struct instanceof Y.Item && !(struct.content instanceof Y.ContentDeleted);
  return Y.decodeUpdate(update)
    .structs.filter(isLiving)
    .flatMap(({ id: { client, clock }, length }) =>
      Array.from({ length }, (_, offset) => Y.createID(client, clock + offset)),
    )
    .filter((id) => Y.getItem(doc.store, id).deleted);
}

/** Records with a list and a text each, and one after the other of them, or some of what is in it, deleted. */
function shrinking() {
  const doc = client(1);
  const notes = doc.getMap<Y.Map<Y.Array<string> | Y.Text>>('notes');
  for (let n = 0; n < 12; n++) {
    const tags = Y.Array.from<string>([1, 2, 3, 4].map((tag) => `tag ${n}.${tag}`));
    const record = new Y.Map<Y.Array<string> | Y.Text>();
    notes.set(`r${n}`, record);
    record.set('tags', tags);
    record.set('text', new Y.Text('some words'));
  }
  const remove = (pick: number): void => {
    const id = `r${pick % 12}`;
    const [tags, text] = ['tags', 'text'].map((name) => notes.get(id)?.get(name));
    if (pick % 3 === 0) notes.delete(id);
    else if (pick % 3 === 1 && tags instanceof Y.Array && tags.length > 0) tags.delete(pick % tags.length);
    else if (text instanceof Y.Text && text.length > 1) text.delete(pick % (text.length - 1), 2);
  };
  return { doc, remove };
}

test('[N2] nothing is in it that was deleted while it was encoded', () => {
  const encode = (step: number, picks: readonly number[]) => {
    const { doc, remove } = shrinking();
    const left = [...picks];
    const before = Y.encodeStateAsUpdate(doc);
    const { update } = finished(encodeInSteps(doc, new Map(), step), () => remove(left.pop() ?? 0));
    expect(deletedIn(before, doc)).not.toEqual([]);
    expect(deletedIn(update, doc)).toEqual([]);
    const device = client(2);
    Y.applyUpdate(device, update);
    expect([device.store.pendingStructs, device.store.pendingDs]).toEqual([null, null]);
    expect(jsonOfDoc(device)).toEqual(jsonOfDoc(doc));
  };
  fc.assert(fc.property(stepSizes, fc.array(fc.nat(), { minLength: 20, maxLength: 60 }), encode), {
    numRuns: runs(300),
  });
});

test('[N2] [P8] it comes to an end though something is deleted in each step', () => {
  const doc = client(1);
  const notes = doc.getMap('notes');
  for (let n = 0; n < 3_000; n++) notes.set(`r${n}`, new Y.Map([['a', `value ${n}`]]));
  let left = 3_000;
  const steps = encodeInSteps(doc, new Map(), 100);
  const { update } = finished(steps, () => left > 0 && notes.delete(`r${--left}`));
  expect(left).toBeGreaterThan(0);
  expect(deletedIn(update, doc)).toEqual([]);
  const device = client(2);
  Y.applyUpdate(device, update);
  expect(jsonOfDoc(device)).toEqual(jsonOfDoc(doc));
  expect(doc._observers.get('afterTransaction')?.size ?? 0).toBe(0);
});

test('[P8] clients of one struct each are encoded many in a step', () => {
  const doc = client(1);
  for (let n = 0; n < 1_000; n++) {
    const other = client(100 + n);
    other.getMap('notes').set(`r${n}`, n);
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(other));
  }
  let steps = 0;
  const { update } = finished(encodeInSteps(doc, new Map(), 100), () => steps++);
  expect(update).toEqual(Y.encodeStateAsUpdate(doc));
  expect(steps).toBe(10);
});

const ORIGIN: Origin = { via: 'yjs', device: 'd' as DeviceId, actor: null, subscriber: null };
const NOTHING = Y.encodeStateVector(new Map());

/** Records that take a fresh device several steps. */
function many(): Uint8Array {
  const doc = client(11);
  const records = doc.getMap('notes');
  for (let n = 0; n < 2_000; n++) {
    const fields = Array.from({ length: 5 }, (_, field) => [`field${field}`, n] as const);
    records.set(`r${n}`, new Y.Map(fields));
  }
  return Y.encodeStateAsUpdate(doc);
}

test('[P8] a fresh device of a large document keeps nobody waiting, one that lacks little is answered at once', async () => {
  const document = await openDocument(new MemoryStore(), 'anna' as UserId);
  expect(document.diffInSteps(NOTHING)).toBeInstanceOf(Uint8Array);
  document.receive(ORIGIN, many(), null);
  expect(lacksMuch(document.doc, new Map())).toBe(true);
  const answer = document.diffInSteps(NOTHING);
  expect(answer).toBeInstanceOf(Promise);
  let turns = 0;
  const count = () => {
    turns++;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);
  expect(await answer).toEqual(document.diff(NOTHING));
  clearImmediate(timer);
  expect(turns).toBeGreaterThan(2);
  expect(document.diffInSteps(document.stateVector())).toBeInstanceOf(Uint8Array);
});

test('[N3] nothing is in such an answer that is not durable when it is given', async () => {
  const store = new MemoryStore();
  const document = await openDocument(store, 'anna' as UserId);
  document.receive(ORIGIN, many(), null);
  await document.durable();
  const save = heldCommits(store);
  const answer = document.diffInSteps(NOTHING) as Promise<Uint8Array>;
  let isGiven = false;
  void answer.then(() => {
    isGiven = true;
  });
  document.write(ORIGIN, (doc) => void doc.getMap('notes').set('late', new Y.Map([['a', 1]])));
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  expect(isGiven).toBe(false);
  save();
  expect(await answer).toEqual(document.diff(NOTHING));
});

test('[S1] nothing is in such an answer of what was thrown away meanwhile', async () => {
  const document = await openDocument(new MemoryStore(), 'anna' as UserId);
  document.receive(ORIGIN, many(), null);
  await document.durable();
  const before = document.diff(NOTHING);
  const answer = document.diffInSteps(NOTHING);
  const halfway = (doc: Y.Doc) => {
    doc.getMap('notes').set('half', new Y.Map([['a', 1]]));
    throw new Error('A write that fails halfway.');
  };
  expect(() => document.write(ORIGIN, halfway)).toThrow('halfway');
  expect(await answer).toEqual(before);
});

describe('[P7] [N3] a large answer of a document that fails', () => {
  const failure = new SyncError('ERASED');
  const fail = () => Promise.reject(failure);

  /** The answer to who has nothing; nobody wants it any more where it is begun for ever. */
  async function asked(document: UserDocument): Promise<Uint8Array> {
    let steps = 0;
    return await document.diffInSteps(NOTHING, () => ++steps < 1_000);
  }

  async function openLarge(): Promise<UserDocument> {
    const document = await openDocument(new MemoryStore());
    document.receive(ORIGIN, many(), null);
    await document.durable();
    return document;
  }

  test('is not begun where it was asked for during the work with which that fails', async () => {
    const document = await openLarge();
    const failing = document.exclusive(fail);
    await expect(asked(document)).rejects.toBe(failure);
    await failing;
  });

  test('is not begun where that work was begun before its first step', async () => {
    const document = await openLarge();
    const answer = asked(document);
    const failing = document.exclusive(fail);
    await expect(answer).rejects.toBe(failure);
    await failing;
  });

  test('is not begun where it fails before the first step', async () => {
    const document = await openLarge();
    const answer = asked(document);
    document.fail(failure);
    await expect(answer).rejects.toBe(failure);
  });

  test('is not begun where it has failed before', async () => {
    const document = await openLarge();
    document.fail(failure);
    await expect(asked(document)).rejects.toBe(failure);
  });

  test('is not given where it fails between two steps', async () => {
    const document = await openLarge();
    const answer = asked(document);
    for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
    document.fail(failure);
    await expect(answer).rejects.toBe(failure);
  });

  test('is not begun anew where the one that was left halfway can not be loaded', async () => {
    const store = new MemoryStore();
    const document = await openDocument(store);
    document.receive(ORIGIN, many(), null);
    await document.durable();
    const answer = asked(document);
    await new Promise(setImmediate);
    store.load = fail;
    const halfway = () => {
      throw new Error('A write that fails halfway.');
    };
    expect(() => document.write(ORIGIN, halfway)).toThrow('halfway');
    await expect(answer).rejects.toBe(failure);
  });
});

test('[N2] what a device deletes while a large answer is encoded is not in it', async () => {
  const document = await openDocument(new MemoryStore(), 'anna' as UserId);
  document.receive(ORIGIN, many(), null);
  await document.durable();
  document.write(ORIGIN, (doc) => void doc.getMap('notes').set('r0', new Y.Map([['a', 'a secret']])));
  const answer = document.diffInSteps(NOTHING) as Promise<Uint8Array>;
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  document.write(ORIGIN, (doc) => void doc.getMap('notes').delete('r0'));
  expect(Buffer.from(await answer).includes('a secret')).toBe(false);
});

test('[N2] [N3] what is deleted while such an answer is held is in it, and its deletion comes behind', async () => {
  const store = new MemoryStore();
  const document = await openDocument(store, 'anna' as UserId);
  document.receive(ORIGIN, many(), null);
  document.write(ORIGIN, (doc) => void doc.getMap('notes').set('r0', new Y.Map([['a', 'a secret']])));
  await document.durable();
  const device = client(9);
  const release = heldCommits(store);
  document.write(ORIGIN, (doc) => void doc.getMap('notes').set('late', new Y.Map([['a', 1]])));
  const answer = document.diffInSteps(NOTHING) as Promise<Uint8Array>;
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  document.write(ORIGIN, (doc) => void doc.getMap('notes').delete('r0'));
  release();
  Y.applyUpdate(device, await answer);
  expect(device.getMap('notes').has('r0')).toBe(true);
  await document.durable();
  Y.applyUpdate(device, document.diff(Y.encodeStateVector(device)));
  expect(jsonOfDoc(device)).toEqual(jsonOfDoc(document.doc));
});

/** Commits wait until what this returns is called. */
function heldCommits(store: MemoryStore): () => void {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { commit } = store;
  store.commit = (user, change) => released.then(() => commit.call(store, user, change));
  return release;
}
