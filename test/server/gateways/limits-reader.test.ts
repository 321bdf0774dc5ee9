/** Clients that do not read what they are sent, and clients that seem to be gone (S4). */
import { EventEmitter } from 'node:events';
import type { Socket as Stream } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import * as Y from 'yjs';
import { Socket } from '../../../server/gateways/websocket/socket.js';
import { YjsSession } from '../../../server/gateways/yjs/session.js';
import { decodeMessage, messages, type YjsMessage } from '../../../server/protocol/yjs.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { DeviceId } from '../../../shared/names.js';
import { followedOf, openDocument } from '../../support/document.js';
import { openRaw, useJson, useNative, useRaw, useServer } from '../../support/use.js';

/** A WebSocket whose peer reads when the test says so. */
class FakeSocket extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  bufferedAmount = 0;
  isPaused = false;
  closed: number | null = null;
  isTerminated = false;
  pings = 0;
  readonly #sent: { readonly size: number; readonly done: (() => void) | undefined }[] = [];

  send(message: Uint8Array | string, _options: object, done?: () => void): void {
    this.#sent.push({ size: message.length, done });
    this.bufferedAmount += message.length;
  }

  /** The peer reads the oldest message. */
  read(): void {
    const { size = 0, done } = this.#sent.shift() ?? {};
    this.bufferedAmount -= size;
    done?.();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  close(code: number): void {
    this.closed = code;
    this.readyState = 2;
  }

  terminate(): void {
    this.isTerminated = true;
  }
}

class FakeStream extends EventEmitter {
  bytesRead = 0;
  readonly #ws: FakeSocket;

  constructor(ws: FakeSocket) {
    super();
    this.#ws = ws;
  }

  write(frame: Buffer, done?: () => void): void {
    if (frame[0] === PING) this.#ws.pings++;
    else this.#ws.send(frame.subarray(frame[1] === 126 ? 4 : 2), {}, done);
  }
}

/** First byte of a ping. */
const PING = 0x89;

function line(bufferPause = 100, bufferClose = 1_000, pingInterval = 30_000) {
  const ws = new FakeSocket();
  const stream = new FakeStream(ws);
  const options = { bufferPause, bufferClose, pingInterval };
  const socket = new Socket(ws as unknown as WebSocket, stream as unknown as Stream, options);
  ws.on('pong', (payload = Buffer.alloc(0)) => socket.notePong(payload));
  const send = (size: number) => socket.send([new Uint8Array(size)]);
  const drain = () => {
    while (ws.bufferedAmount > 0) ws.read();
  };
  return { ws, stream, socket, send, drain };
}

describe('[S4] slow readers', () => {
  test('BUFFER_PAUSE: at the limit it is read from, one past it not until it has read', () => {
    const { ws, send } = line();
    send(100);
    expect(ws.isPaused).toBe(false);
    send(1);
    expect(ws.isPaused).toBe(true);
    ws.read();
    ws.read();
    expect(ws.isPaused).toBe(false);
  });

  test('BUFFER_CLOSE: at the limit it gets one more, one past it 1013', () => {
    const { ws, send } = line();
    send(1_000);
    send(1);
    expect([ws.closed, ws.bufferedAmount]).toEqual([null, 1_001]);
    send(1);
    expect([ws.closed, ws.bufferedAmount]).toEqual([1013, 1_001]);
  });

  test('one that reads in time may get any amount', () => {
    const { ws, send, drain } = line();
    for (let n = 0; n < 100; n++) {
      send(900);
      drain();
    }
    expect([ws.closed, ws.isPaused]).toEqual([null, false]);
  });

  test('the first sync does not count while it is on its way, a second one does', () => {
    const { ws, socket, send } = line();
    socket.answer([new Uint8Array(50_000)], true, () => {});
    send(1_000);
    send(1);
    expect(ws.closed).toBeNull();
    ws.read();
    expect(socket.waiting).toBe(1_001);
    const second = line();
    second.socket.answer([new Uint8Array(1)], true, () => {});
    second.socket.answer([new Uint8Array(50_000)], true, () => {});
    second.send(1);
    expect(second.ws.closed).toBe(1013);
  });

  test('reasons not to read add up: it is read again when the last one is gone', () => {
    const { ws, socket, send, drain } = line();
    socket.hold('loading');
    send(101);
    socket.hold('rate');
    socket.release('loading');
    drain();
    expect(ws.isPaused).toBe(true);
    socket.release('rate');
    expect(ws.isPaused).toBe(false);
  });
});

describe('[S4] PING_INTERVAL, and what looks like silence', () => {
  test('a client that misses one ping is gone', () => {
    const { ws, socket } = line();
    socket.checkLife();
    expect([ws.pings, ws.isTerminated]).toEqual([1, false]);
    ws.emit('pong');
    socket.checkLife();
    expect(ws.isTerminated).toBe(false);
    socket.checkLife();
    expect(ws.isTerminated).toBe(true);
  });

  test('one that is not read on purpose is not', () => {
    const { ws, socket } = line();
    socket.hold('rate');
    for (let n = 0; n < 5; n++) socket.checkLife();
    expect(ws.isTerminated).toBe(false);
    socket.release('rate');
    socket.checkLife();
    expect(ws.isTerminated).toBe(true);
  });

  test('nor one whose long message still comes in, or that still reads a long one', () => {
    const { ws, socket, stream, send } = line();
    for (let n = 0; n < 5; n++) {
      stream.bytesRead += 1_000;
      socket.checkLife();
    }
    for (let n = 0; n < 5; n++) send(200);
    for (let n = 0; n < 5; n++) {
      ws.read();
      socket.checkLife();
    }
    expect(ws.isTerminated).toBe(false);
    send(200);
    socket.checkLife();
    socket.checkLife();
    expect(ws.isTerminated).toBe(true);
  });
});

describe('[N10 S4] what a slow line has not got yet', () => {
  test('one that the system has taken everything for is waited for as long as 20 KB/s need, and no longer', () => {
    const { ws, socket, drain } = line(1_000_000, 1_000_000, 1_000);
    const intervals = () => {
      let count = 0;
      for (; !ws.isTerminated && count < 100; count++) socket.checkLife();
      return count;
    };
    socket.checkLife();
    ws.emit('pong', Buffer.alloc(0));
    socket.answer([new Uint8Array(60_000), new Uint8Array(40_000)], true, () => {});
    drain();
    // The first one sees the pong, and that something has left.
    expect(intervals()).toBe(1 + 5 + 1);
  });

  test('a pong proves what was sent before its ping, and no other pong does', () => {
    const { ws, socket, send, drain } = line(1_000_000, 1_000_000, 1_000);
    send(100_000);
    drain();
    socket.checkLife();
    ws.emit('pong', Buffer.from('17.4'));
    for (let n = 0; n < 6; n++) socket.checkLife();
    expect(ws.isTerminated).toBe(false);
    ws.emit('pong', Buffer.alloc(0));
    socket.checkLife();
    expect(ws.isTerminated).toBe(false);
    socket.checkLife();
    expect(ws.isTerminated).toBe(true);
  });

  test('an answer in parts is one: it gets through whole, exempt the first time, and is done once', () => {
    const { ws, socket, send, drain } = line();
    const parts = Array.from({ length: 5 }, () => new Uint8Array(800));
    let done = 0;
    socket.answer(parts, true, () => done++);
    expect([ws.bufferedAmount, socket.waiting, done]).toEqual([4_000, 0, 0]);
    ws.read();
    expect([socket.waiting, done]).toEqual([0, 0]);
    drain();
    expect(done).toBe(1);
    socket.answer(parts, true, () => done++);
    socket.send(parts);
    expect([ws.bufferedAmount, ws.closed]).toEqual([4_000, 1013]);
    const other = line();
    other.socket.send(parts);
    expect([other.ws.bufferedAmount, other.ws.closed]).toEqual([4_000, null]);
    send(1);
  });
});

test('[S4 N1] one SyncStep1 is answered at a time, then the last of those that came meanwhile', async () => {
  const document = await openDocument(new MemoryStore());
  const answers: { readonly message: YjsMessage; readonly sent: () => void }[] = [];
  let diffs = 0;
  const diff = document.diff.bind(document);
  document.diff = (stateVector) => {
    diffs++;
    return diff(stateVector);
  };
  const session = new YjsSession({
    document: followedOf(document),
    device: 'phone' as DeviceId,
    now: () => 0,
    maxPending: 1_000,
    pendingTimeout: 1_000,
    outbox: {
      send: () => {},
      answer: ([bytes = new Uint8Array(0)], sent) => answers.push({ message: decodeMessage(bytes), sent }),
      close: () => {},
    },
  });
  session.start();
  const ask = () => session.receive(Uint8Array.of(0, 0, 1, 0));
  for (let n = 0; n < 1_000; n++) ask();
  for (let n = 0; n < 1_000; n++) session.receive(Uint8Array.of(3));
  expect([diffs, answers.length]).toEqual([1, 1]);
  answers[0]?.sent();
  expect([diffs, answers.length]).toEqual([2, 2]);
  answers[1]?.sent();
  expect(answers.map(({ message }) => message.type)).toEqual(['syncStep2', 'syncStep2', 'awareness']);
  answers[2]?.sent();
  expect([diffs, answers.length]).toEqual([2, 3]);
});

describe('[S4] with real sockets', () => {
  test('a reader that stopped is closed, what it keeps the server to hold is bounded, and nobody else waits', async () => {
    const server = await useServer({ BUFFER_PAUSE: '64 KiB', BUFFER_CLOSE: '1 MiB', LOG_LEVEL: 'error' });
    const writer = await useNative(server, 'anna', 'writer');
    const reader = await useNative(server, 'anna', 'reader');
    const stopped = await useRaw(server, 'anna', 'stopped');
    stopped.ws.pause();
    const connections = async () => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      return Number(/connections\{protocol="yjs"\} (\d+)/.exec(text)?.[1]);
    };
    expect(await connections()).toBe(3);
    const text = 'x'.repeat(400_000);
    for (let n = 0; n < 40; n++) {
      writer.record('notes', 'n1').set('text', `${n} ${text}`);
      await writer.saved();
    }
    await expect.poll(connections, { timeout: 15_000 }).toBe(2);
    await expect.poll(() => reader.json()).toEqual(writer.json());
    expect([reader.connections, writer.connections]).toEqual([1, 1]);
  }, 60_000);

  test('[O3] what it has not read is counted, a first sync included', async () => {
    const server = await useServer();
    const unsent = async (): Promise<number> =>
      Number(/^telemed_unsent_bytes (\d+)$/m.exec(await (await fetch(`${server.url}/metrics`)).text())?.[1]);
    const writer = await useNative(server, 'anna', 'writer');
    for (let n = 0; n < 24; n++) writer.record('notes', `n${n}`).set('text', 'x'.repeat(1_000_000));
    await writer.saved();
    expect(await unsent()).toBe(0);
    const slow = openRaw(server, 'anna');
    await slow.until(() => slow.messages.length > 0);
    slow.ws.pause();
    slow.send(messages.syncStep1(Y.encodeStateVector(new Y.Doc())));
    await expect.poll(unsent).toBeGreaterThan(4_000_000);
    slow.ws.resume();
    await slow.next('syncStep2');
    expect(await unsent()).toBe(0);
  }, 60_000);

  test('a first sync that is larger than BUFFER_CLOSE reaches a slow reader', async () => {
    const server = await useServer({ BUFFER_PAUSE: '1 KiB', BUFFER_CLOSE: '64 KiB' });
    const writer = await useNative(server, 'anna', 'writer');
    for (let n = 0; n < 12; n++) writer.record('notes', `n${n}`).set('text', 'x'.repeat(500_000));
    await writer.saved();
    const slow = openRaw(server, 'anna');
    await slow.until(() => slow.messages.length > 0);
    slow.ws.pause();
    slow.send(messages.syncStep1(Y.encodeStateVector(new Y.Doc())));
    for (let n = 0; n < 5; n++) {
      writer.record('notes', 'small').set('n', n);
      await writer.saved();
    }
    slow.ws.resume();
    await slow.next('syncStep2');
    const copy = new Y.Doc();
    await slow.until(() => {
      for (const message of slow.messages.splice(0)) {
        if ('update' in message) Y.applyUpdate(copy, message.update);
      }
      return (copy.getMap('notes').get('small') as Y.Map<unknown> | undefined)?.get('n') === 4;
    });
    expect(slow.closed).toBeNull();
    expect(copy.getMap('notes').toJSON()).toEqual(writer.doc.getMap('notes').toJSON());
  }, 60_000);

  test('[L1] REQUEST_SYNC in a loop is answered, and the device goes on', async () => {
    const server = await useServer();
    const device = await useJson(server, 'anna', 'phone');
    for (let n = 0; n < 200; n++) device.requestSync();
    device.update('notes', { id: 'n1', v: 1 });
    await device.saved();
    expect(device.of('FULL_SYNC').length).toBeGreaterThan(1);
    expect(device.closed).toBeNull();
  });
});
