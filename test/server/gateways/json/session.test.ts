/** What sockets can't show of a connection of a JSON device: time, and what it may have received (L3, L10). */
import { expect, test } from 'vitest';
import type { UserDocument } from '../../../../server/documents/user-document.js';
import type { SyncError } from '../../../../server/errors.js';
import { JsonSession } from '../../../../server/gateways/json/session.js';
import { silentLog } from '../../../../server/log.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { DeviceId } from '../../../../shared/names.js';
import { jsonOutbox } from '../../../support/devices/outbox.js';
import { followedOf, openDocument } from '../../../support/document.js';

interface Sent {
  readonly type: string;
  readonly fromDevice?: string;
  readonly data?: { readonly document?: object };
}

class Line {
  readonly sent: Sent[] = [];
  readonly pings: string[] = [];
  closed: SyncError | null = null;
  now = 0;
  answersAtOnce = false;
  readonly session: JsonSession;
  readonly #device: string;

  constructor(document: UserDocument, device = 'tablet') {
    this.#device = device;
    this.session = new JsonSession({
      document: followedOf(document),
      device: device as DeviceId,
      now: () => this.now,
      log: silentLog,
      maxDepth: 64,
      maxMessage: 10_000,
      outbox: jsonOutbox({
        send: (text) => this.sent.push(JSON.parse(text.toString())),
        ping: (payload) => {
          this.pings.push(payload);
          if (this.answersAtOnce) this.pong();
        },
        close: (error) => {
          this.closed = error;
        },
      }),
    });
    this.session.start();
  }

  write(document: object): void {
    const message = { type: 'DATA_UPDATE', userId: 'anna', deviceId: this.#device };
    this.session.receive(
      JSON.stringify({ ...message, data: { collection: 'notes', document, timestamp: this.now } }),
    );
  }

  pong(): void {
    this.session.pong(this.pings.at(-1) ?? '');
  }

  corrections(): Sent[] {
    return this.sent.filter(({ fromDevice }) => fromDevice === 'server');
  }
}

test('[L10] bad messages count for a minute', async () => {
  const line = new Line(await openDocument(new MemoryStore()));
  for (let i = 0; i < 100; i++) {
    line.session.receive('bad');
    line.now += 3_200;
  }
  expect(line.closed).toBeNull();
  for (let i = 0; i < 20; i++) line.session.receive('bad');
  expect([line.closed?.code, line.closed?.closeCode]).toEqual(['TOO_MANY_BAD_MESSAGES', 1008]);
});

test('[L3] until a pong proves receipt of what it was sent, a writer gets its record back', async () => {
  const document = await openDocument(new MemoryStore());
  const line = new Line(document);
  line.write({ id: 'n1', i: 1 });
  await document.durable();
  expect(line.corrections()).toHaveLength(1);
  line.pong();
  line.pong(); // the first one was that of the full sync, this one that of the correction
  line.write({ id: 'n1', i: 2 });
  await document.durable();
  expect(line.corrections()).toHaveLength(1);
});

test('[L3] a pong of something else proves nothing', async () => {
  const document = await openDocument(new MemoryStore());
  const line = new Line(document);
  line.session.pong('');
  line.session.pong('99.99');
  line.write({ id: 'n1', i: 1 });
  await document.durable();
  expect(line.corrections()).toHaveLength(1);
});

test('[L3] what is on its way of one record does not matter for another', async () => {
  const document = await openDocument(new MemoryStore());
  const [tablet, desk] = [new Line(document), new Line(document, 'desk')];
  tablet.pong();
  desk.pong();
  desk.write({ id: 'n1', i: 1 });
  await document.durable();
  tablet.write({ id: 'n2', i: 2 });
  await document.durable();
  expect(tablet.corrections()).toEqual([]);
  tablet.write({ id: 'n1', i: 3 });
  await document.durable();
  expect(tablet.corrections().map(({ data }) => data?.document)).toEqual([{ id: 'n1', i: 3 }]);
});

test('[L3] something that goes out while a write becomes durable makes it a correction as well', async () => {
  const store = new MemoryStore();
  const document = await openDocument(store);
  const [tablet, desk] = [new Line(document), new Line(document, 'desk')];
  tablet.pong();
  desk.pong();
  store.hold();
  desk.write({ id: 'n1', i: 1 });
  tablet.write({ id: 'n1', i: 2 });
  store.release();
  await document.durable();
  expect(tablet.sent.slice(2).map(({ fromDevice, data }) => [fromDevice, data?.document])).toEqual([
    ['desk', { id: 'n1', i: 1 }],
    ['server', { id: 'n1', i: 2 }],
  ]);
});

test('[L3] also when its receipt is proven before the write is durable', async () => {
  const store = new MemoryStore();
  const document = await openDocument(store);
  const [tablet, desk] = [new Line(document), new Line(document, 'desk')];
  for (const line of [tablet, desk]) line.answersAtOnce = true;
  for (const line of [tablet, desk]) line.pong();
  store.hold();
  desk.write({ id: 'n1', i: 1 });
  tablet.write({ id: 'n1', i: 2 });
  tablet.write({ id: 'n2', i: 3 });
  store.release();
  await document.durable();
  expect(tablet.corrections().map(({ data }) => data?.document)).toEqual([{ id: 'n1', i: 2 }]);
  tablet.write({ id: 'n1', i: 4 });
  await document.durable();
  expect(tablet.corrections()).toHaveLength(1);
});

test('[L1] at most one ping is under way, and it speaks for all that was sent before it', async () => {
  const document = await openDocument(new MemoryStore());
  const [tablet, desk] = [new Line(document), new Line(document, 'desk')];
  desk.pong();
  for (let i = 0; i < 10; i++) desk.write({ id: `n${i}` });
  await document.durable();
  expect(tablet.pings).toHaveLength(1);
  tablet.pong();
  expect(tablet.pings).toHaveLength(2);
  tablet.pong();
  for (let i = 0; i < 10; i++) tablet.write({ id: `n${i}`, i });
  await document.durable();
  expect(tablet.pings).toHaveLength(2);
  expect(tablet.corrections()).toEqual([]);
});

test('[L1] the first full sync, its ping and the confirmation leave in one write, in this order', async () => {
  const document = followedOf(await openDocument(new MemoryStore()));
  const left: string[] = [];
  const session = new JsonSession({
    document,
    device: 'tablet' as DeviceId,
    now: () => 0,
    log: silentLog,
    maxDepth: 64,
    maxMessage: 10_000,
    outbox: {
      ...jsonOutbox({
        send: (text) => left.push(JSON.parse(text.toString()).type),
        ping: () => left.push('ping'),
        close: () => {},
      }),
      together: (work) => {
        left.push('[');
        const result = work();
        left.push(']');
        return result;
      },
    },
  });
  session.start();
  expect(left).toEqual(['[', 'FULL_SYNC', 'ping', 'CONNECTION_CONFIRMED', ']']);
  session.receive(JSON.stringify({ type: 'REQUEST_SYNC', userId: 'anna', deviceId: 'tablet' }));
  expect(left.filter((what) => what === 'CONNECTION_CONFIRMED')).toHaveLength(1);
});
