/** What sockets can't show of a native connection: time, and the order of what waits (N4, N6). */
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import type { UserDocument } from '../../../../server/documents/user-document.js';
import { SyncError } from '../../../../server/errors.js';
import type { Told } from '../../../../server/gateways/yjs/options.js';
import { YjsSession, type YjsSessionOptions } from '../../../../server/gateways/yjs/session.js';
import { decodeMessage, messages, type YjsMessage } from '../../../../server/protocol/yjs.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { DeviceId } from '../../../../shared/names.js';
import { yjsOutbox } from '../../../support/devices/outbox.js';
import { followedOf, openDocument } from '../../../support/document.js';
import { record } from '../../../support/ward.js';

/** A session with a clock of its own. */
class Line {
  readonly sent: { readonly at: number; readonly message: YjsMessage }[] = [];
  /** What the client has not sent, as it told. */
  readonly told: Told[] = [];
  closed: SyncError | null = null;
  now = 0;
  readonly session: YjsSession;

  constructor(
    document: UserDocument,
    limits: Partial<
      Pick<YjsSessionOptions, 'maxPending' | 'pendingTimeout' | 'asksForTimes' | 'readOnly' | 'asksForEpoch'>
    > = {},
  ) {
    this.session = new YjsSession({
      document: followedOf(document),
      device: 'phone' as DeviceId,
      now: () => this.now,
      maxPending: 10_000,
      pendingTimeout: 30_000,
      ...limits,
      onUnsent: (told) => this.told.push(told),
      outbox: yjsOutbox({
        send: (bytes) => this.sent.push({ at: this.now, message: decodeMessage(bytes) }),
        close: (error) => {
          this.closed = error;
        },
      }),
    });
    this.session.start();
  }

  receive(...all: Uint8Array[]): void {
    for (const bytes of all) this.session.receive(bytes);
  }

  /** Lets time pass, with the tick of every 3 s. */
  wait(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now = Math.min(end, this.now + 3_000);
      this.session.tick();
    }
  }

  of<Type extends YjsMessage['type']>(type: Type): Extract<YjsMessage, { type: Type }>[] {
    const isOfType = (message: YjsMessage): message is Extract<YjsMessage, { type: Type }> =>
      message.type === type;
    return this.sent.map(({ message }) => message).filter(isOfType);
  }
}

/** The edits of one author, one update each, every one building on the one before. */
function edits(count: number): Uint8Array[] {
  const doc = new Y.Doc();
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  for (let i = 0; i < count; i++) doc.getMap('notes').set(`n${i}`, new Y.Map([['i', i]]));
  return updates;
}

const EMPTY = messages.syncStep2(Y.encodeStateAsUpdate(new Y.Doc()));
const keys = (document: UserDocument): string[] =>
  (document.collections().notes ?? []).map(({ id }) => String(id)).sort();

test('[N6] an idle connection gets a message at least every 15 s, for as long as it lasts', async () => {
  const line = new Line(await openDocument(new MemoryStore()));
  line.wait(90_000);
  const times = [...line.sent.map(({ at }) => at), line.now];
  const gaps = times.slice(1).map((at, index) => at - (times[index] as number));
  expect(Math.max(...gaps)).toBeLessThanOrEqual(15_000);
  expect(line.sent.slice(1).map(({ message }) => message)).toEqual(
    line.sent.slice(1).map(() => ({ type: 'awareness', entries: [] })),
  );
});

test('[N6] one that gets messages anyway gets none of these', async () => {
  const line = new Line(await openDocument(new MemoryStore()));
  for (let i = 0; i < 9; i++) {
    line.wait(10_000);
    line.receive(messages.checkpoint(i));
  }
  expect(line.of('awareness')).toEqual([]);
});

test('[N6] and after its end there is nothing more', async () => {
  const line = new Line(await openDocument(new MemoryStore()));
  line.session.leave();
  line.wait(60_000);
  expect(line.sent).toHaveLength(1);
});

test('[N4 S1] updates wait raw for what they build on, and a checkpoint with them, in order', async () => {
  const document = await openDocument(new MemoryStore());
  const line = new Line(document);
  const [first, second, third, fourth] = edits(4).map((update) => messages.update(update)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  line.receive(EMPTY, messages.checkpoint(1));
  await document.durable();
  line.receive(fourth, messages.checkpoint(2), third, messages.checkpoint(3), second, messages.checkpoint(4));
  await document.durable();
  expect([line.of('checkpoint').map(({ n }) => n), keys(document)]).toEqual([[1], []]);
  line.receive(first, messages.checkpoint(5));
  await document.durable();
  expect(line.of('checkpoint').map(({ n }) => n)).toEqual([1, 2, 3, 4, 5]);
  expect(keys(document)).toEqual(['n0', 'n1', 'n2', 'n3']);
});

test('[N4] what is missing may come from another connection', async () => {
  const document = await openDocument(new MemoryStore());
  const [one, other] = [new Line(document), new Line(document)];
  const [first, second] = edits(2).map((update) => messages.update(update)) as [Uint8Array, Uint8Array];
  one.receive(EMPTY, second, messages.checkpoint(1));
  await document.durable();
  expect(one.of('checkpoint')).toEqual([]);
  other.receive(EMPTY, first);
  await document.durable();
  await document.durable();
  expect(one.of('checkpoint')).toHaveLength(1);
  expect(keys(document)).toEqual(['n0', 'n1']);
});

test('[N4] the client is asked for what is missing once, and not while it still answers the first question', async () => {
  const document = await openDocument(new MemoryStore());
  const updates = edits(4).map((update) => messages.update(update)) as [Uint8Array, Uint8Array, Uint8Array];
  const early = new Line(document);
  early.receive(updates[2]);
  expect(early.of('syncStep1')).toHaveLength(1);
  const later = new Line(document);
  later.receive(EMPTY, updates[2], updates[1]);
  expect(later.of('syncStep1')).toHaveLength(2);
});

test('[N4 S1] what stays missing for PENDING_TIMEOUT ends the connection with 1008, and no earlier', async () => {
  const document = await openDocument(new MemoryStore());
  const line = new Line(document, { pendingTimeout: 30_000 });
  const [first, second] = edits(2).map((update) => messages.update(update)) as [Uint8Array, Uint8Array];
  line.wait(100_000);
  line.receive(EMPTY, second, messages.checkpoint(1));
  line.wait(30_000);
  expect(line.closed).toBeNull();
  line.wait(3_000);
  expect([line.closed?.code, line.closed?.closeCode]).toEqual(['MISSING_DEPENDENCIES', 1008]);
  const count = line.sent.length;
  line.receive(first, messages.checkpoint(2));
  await document.durable();
  expect([line.sent.length, keys(document)]).toEqual([count, []]);
});

test('[N4] what came in time is forgotten, and the clock starts anew for the next one', async () => {
  const document = await openDocument(new MemoryStore());
  const line = new Line(document, { pendingTimeout: 30_000 });
  const updates = edits(4).map((update) => messages.update(update));
  const [first, second, third, fourth] = updates as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  line.receive(EMPTY, second);
  line.wait(27_000);
  line.receive(first, fourth);
  line.wait(27_000);
  expect(line.closed).toBeNull();
  line.receive(third, messages.checkpoint(1));
  await document.durable();
  expect(line.of('checkpoint')).toHaveLength(1);
});

test('[S1] a refused update leaves nothing of the message that brought it', async () => {
  const store = new MemoryStore();
  const document = await openDocument(store);
  const line = new Line(document);
  const [update] = edits(1) as [Uint8Array];
  line.receive(messages.update(Uint8Array.of(...update, 0)), messages.update(update));
  expect(line.closed?.code).toBe('MALFORMED_UPDATE');
  await document.durable();
  expect([keys(document), store.batches]).toEqual([[], 0]);
});

test('[N3] who waits to come in while the document is in work is sent away when that fails', async () => {
  const document = await openDocument(new MemoryStore());
  const failed = document.exclusive(() => Promise.reject(new SyncError('STORE_UNAVAILABLE')));
  const line = new Line(document);
  await failed;
  expect(line.closed).toBe(document.failure);
  expect(document.failure).not.toBeNull();
  expect(line.sent).toEqual([]);
});

test('[N9] only who asks is told that times are taken, before the SyncStep1; the history has them, corrected', async () => {
  const document = await openDocument(new MemoryStore(), 'anna', { now: () => 200_000 });
  expect(new Line(document).sent.map(({ message }) => message.type)).toEqual(['syncStep1']);
  const line = new Line(document, { asksForTimes: true });
  expect(line.sent.map(({ message }) => message.type)).toEqual(['timed', 'syncStep1']);
  line.now = 100_000;
  const ahead = 3_600_000;
  line.receive(messages.timed(line.now + ahead, []));
  line.now = 130_000; // a long way for what is larger
  const [create, change] = edits(2) as [Uint8Array, Uint8Array];
  const changes = [
    { madeAt: 40_000 + ahead, update: create },
    { madeAt: 60_000 + ahead, update: change },
  ];
  line.receive(messages.timed(101_000 + ahead, changes));
  const times = ['n0', 'n1'].map((id) => document.history.changes(record('notes', id), 0, 9)[0]?.madeAt);
  expect(times).toEqual([40_000, 60_000]);
  expect(line.closed).toBeNull();
});

const counts = ({ told }: Line): number[] => told.map(({ count }) => count);
const answered = async (document: UserDocument): Promise<void> => {
  await document.durable();
  await Promise.resolve();
};

test('[A0] [N4] the answer to an earlier checkpoint tells nothing of what came behind it', async () => {
  const store = new MemoryStore();
  const document = await openDocument(store);
  const line = new Line(document);
  const [first, second] = edits(2).map((update) => messages.update(update)) as [Uint8Array, Uint8Array];
  line.receive(EMPTY);
  store.hold();
  line.now = 1_000;
  line.receive(first, messages.checkpoint(1, 1, 0, 0));
  line.now = 2_000;
  line.receive(second, messages.checkpoint(2, 2, 0, 500));
  line.now = 9_000;
  store.release();
  await answered(document);
  expect(line.of('checkpoint').map(({ n }) => n)).toEqual([1, 2]);
  expect(line.told).toEqual([
    { count: 1, since: 1_000, toldAt: 1_000 },
    { count: 2, since: 1_500, toldAt: 2_000 },
    { count: 0, since: null, toldAt: 2_000 },
  ]);
});

test('[A0] [N4] that nothing is left holds once that is durable', async () => {
  const store = new MemoryStore();
  const document = await openDocument(store);
  const line = new Line(document);
  const [first] = edits(1).map((update) => messages.update(update)) as [Uint8Array];
  line.receive(EMPTY);
  store.hold();
  line.receive(first, messages.checkpoint(1, 0, 0, 0)); // it says so of what this server has lost in a restore
  expect(line.told).toEqual([]);
  store.release();
  await answered(document);
  expect(counts(line)).toEqual([0]);
});

test('[A0] [N7] what a device may not write is told, and never that it was sent', async () => {
  const line = new Line(await openDocument(new MemoryStore()), { readOnly: true });
  line.receive(EMPTY, messages.checkpoint(1, 0, 0, 0));
  const [first] = edits(1).map((update) => messages.update(update)) as [Uint8Array];
  line.receive(first, messages.checkpoint(2, 1, 0, 0), messages.checkpoint(3, 0, 0, 0));
  expect(counts(line)).toEqual([0, 1]);
});

test('[A0] [P10] while a device fetches a document anew, it does not tell what waits for that', async () => {
  const line = new Line(await openDocument(new MemoryStore()), { asksForEpoch: true });
  line.receive(EMPTY, messages.checkpoint(1, 0, 0, 0));
  expect(line.of('checkpoint')).toHaveLength(1);
  expect(line.told).toEqual([]);
});

test('[A0] how far a client is sent the document is known once it has asked', async () => {
  const document = await openDocument(new MemoryStore());
  const [one, other] = [new Line(document), new Line(document)];
  const [first, second] = edits(2).map((update) => messages.update(update)) as [Uint8Array, Uint8Array];
  one.receive(EMPTY, first);
  await answered(document);
  expect([one.session.sentRevision, other.session.sentRevision]).toEqual([null, null]);
  for (const line of [one, other]) line.receive(messages.syncStep1(Uint8Array.of(0)));
  await answered(document);
  expect([one.session.sentRevision, other.session.sentRevision]).toEqual([1, 1]);
  one.receive(second);
  await answered(document);
  expect([one.session.sentRevision, other.session.sentRevision]).toEqual([2, 2]);
});
