/** Hops that go wrong under way: owners that stop, hang or are gone, and clients that mean ill. */
import { EventEmitter, once } from 'node:events';
import { type ClientRequest, request as open } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { forward } from '../../../server/cluster/forward.js';
import { closeFrame } from '../../../server/cluster/frames.js';
import { hopHeader } from '../../../server/cluster/hop-header.js';
import { HEARD, type Target } from '../../../server/cluster/hop-target.js';
import { Hops } from '../../../server/cluster/hops.js';
import type { NodeId, Owner } from '../../../server/cluster/placement.js';
import { Splice, splice } from '../../../server/cluster/splice.js';
import { SyncError } from '../../../server/errors.js';
import { silentLog } from '../../../server/log.js';
import { isReachable } from '../../../server/net/reachable.js';
import type { UserId } from '../../../shared/names.js';
import {
  CLUSTER_SECRET,
  type TestNode,
  TestOwners,
  useFrontAndOwner,
  useHangingNode,
  useNode,
  useStandIn,
} from '../../support/cluster.js';
import { ASKING, SWITCHED, targetAt, useForwarded, useSpliced } from '../../support/hop-fronts.js';
import { ask } from '../../support/http-ask.js';
import { PATIENCE } from '../../support/wait.js';

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const JSON_TYPE = { 'Content-Type': 'application/json', 'Device-ID': 'pump' };
const SILENCE = 5_000;
const GUEST = { user: 'anna' as UserId, address: '127.0.0.1' };
/** Of header lines Node reads 1,000. */
const MANY = 1_100;

const changes = (text: string): string => {
  const data = { collection: 'notes', document: { id: 'n', text } };
  return JSON.stringify({ changes: [{ type: 'DATA_UPDATE', userId: 'anna', deviceId: 'pump', data }] });
};
const whys = ({ events }: TestNode) =>
  events.flatMap(({ name, fields }) => (name === 'nodeNotReached' && 'why' in fields ? [fields.why] : []));
const codeOf = ({ body }: { readonly body: Buffer }) => JSON.parse(String(body)).code;

afterEach(() => void vi.useRealTimers());

describe('an owner that is lost after it took a request', () => {
  const useLost = () =>
    useStandIn((socket) => {
      socket.write(CONTINUE);
      socket.on('data', (data) => data.includes('the text') && socket.destroy());
    });

  test('[N2] nobody else is asked, since it may be done, and of the body nothing is left', async () => {
    const lost = await useLost();
    const told: TestOwners = new TestOwners('front', (_, asked) => (asked === 1 ? lost : told));
    const front = await useNode(told);
    const question = { method: 'POST', headers: JSON_TYPE, body: changes('the text') };
    const answer = await ask(`${front.url}/api/sync/anna`, question);
    expect([answer.status, codeOf(answer)]).toEqual([503, 'OWNER_UNREACHABLE']);
    expect([told.asked, told.relieved, whys(front)]).toEqual([1, [], ['lost']]);
  });

  test('[S4] one that says nothing any more is given up', async () => {
    const mute = await useStandIn((socket) => socket.resume().write(CONTINUE));
    expect(await useForwarded((exchange) => forward(targetAt(mute, 200), exchange))).toBe('lost');
  });
});

describe('an owner that stops', () => {
  test('[N4 O4] answers first what was led to it', async () => {
    const { front, owner } = await useFrontAndOwner();
    const body = changes('the text');
    const headers = { ...JSON_TYPE, 'Content-Length': String(body.length) };
    const posting = post(`${front.url}/api/sync/anna`, headers);
    posting.write(body.slice(0, 20));
    await expect.poll(() => owner.owners.asked, { timeout: PATIENCE }).toBe(1);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }); // it would wait half a second
    const closed = owner.app.close();
    const second = await ask(`${front.url}/api/sync/anna`);
    expect([second.status, whys(front)]).toEqual([200, []]);
    vi.useRealTimers();
    posting.end(body.slice(20));
    const [response] = await once(posting, 'response');
    expect(response.statusCode).toBe(200);
    response.resume();
    expect(await closed).toBe(true);
  });

  const post = (url: string, headers: Record<string, string>): ClientRequest =>
    open(url, { method: 'POST', headers, agent: false });
});

describe('a client with more headers than a node reads', () => {
  const lines = 'a: b\r\n'.repeat(MANY);

  test.each([
    ['a request', 'GET /api/sync/anna HTTP/1.1\r\nHost: a\r\nConnection: close\r\n', ' 200 '],
    [
      'an upgrade',
      'GET /sync?userId=anna&deviceId=a HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
      ' 101 ',
    ],
  ])('[A2] does not push out that of the hop: %s', async (_, head, status) => {
    const { front, owner } = await useFrontAndOwner();
    const socket = connect(front.port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write(`${head}${lines}\r\n`);
    const [first] = await once(socket, 'data');
    expect(String(first).split('\r\n')[0]).toContain(status);
    expect(whys(front)).toEqual([]);
    expect(owner.events.filter(({ name }) => name === 'hopRefused')).toEqual([]);
  });
});

describe('a splice', () => {
  test('[S4] ends where nothing comes of the owner, which pings, and not before', async () => {
    const owner = { socket: null as Socket | null };
    const pinging = await useStandIn((socket) => {
      owner.socket = socket;
      socket.resume().write(SWITCHED);
    });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { client, stream, led } = await useSpliced((upgrade) =>
      splice(targetAt(pinging, SILENCE), upgrade),
    );
    expect(await led).toBeInstanceOf(Splice);
    await once(client, 'data');
    for (let ping = 0; ping < 3; ping++) {
      vi.advanceTimersByTime(SILENCE - 1);
      owner.socket?.write('ping');
      await once(client, 'data');
    }
    const closed = once(client, 'close');
    vi.advanceTimersByTime(SILENCE - 1);
    expect(stream.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(stream.destroyed).toBe(true);
    await closed;
  });

  test('[S4] ends where the client takes nothing, and the end of the owner is behind what waits', async () => {
    const endless = await useStandIn((socket) => {
      socket.resume().write(SWITCHED);
      socket.end(Buffer.alloc(20_000_000));
    });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { client, stream, led } = await useSpliced((upgrade) =>
      splice(targetAt(endless, SILENCE), upgrade),
    );
    client.pause();
    expect(await led).toBeInstanceOf(Splice);
    await expect.poll(() => stream.writableNeedDrain, { timeout: PATIENCE }).toBe(true);
    vi.advanceTimersByTime(SILENCE);
    expect(stream.destroyed).toBe(true);
  });

  test('[O4] that comes about while the front stops is let go of like others', async () => {
    const asked = new EventEmitter();
    const owners = await useStandIn((socket) => {
      socket.once('data', () => asked.emit('asked', socket));
    });
    const waiting = once(asked, 'asked');
    const place: Owner = { here: false, node: 'other' as NodeId, address: owners.address };
    const hops = new Hops({
      config: { clusterSecret: CLUSTER_SECRET, upgradeTimeout: PATIENCE, pingInterval: SILENCE },
      placement: { whereIs: async () => place, doubt() {}, reached() {}, gone: async () => [] },
      now: Date.now,
      log: silentLog,
    });
    const { client, led } = await useSpliced((upgrade) => hops.socket(GUEST, upgrade));
    const [owner] = await waiting;
    hops.close();
    const closed = once(client.resume(), 'close');
    owner.write(SWITCHED);
    expect(await led).toBe('led');
    await closed;
  });
});

describe('a front that lets go of whom it led on', () => {
  const FRAME = Buffer.from([0x82, 3, 1, 2, 3]);
  const CLOSE = closeFrame(new SyncError('ERASED'));
  const RESTARTING = closeFrame(new SyncError('RESTARTING'));

  /** All that the client is sent, when what the owner says has come to it. */
  async function sentAtLeave(said: readonly Uint8Array[]): Promise<Buffer> {
    const owners = await useStandIn((socket) => void socket.resume().write(Buffer.concat([...said])));
    const { client, led } = await useSpliced((upgrade) => splice(targetAt(owners, SILENCE), upgrade));
    let sent = Buffer.alloc(0);
    client.on('data', (data) => {
      sent = Buffer.concat([sent, data]);
    });
    const all = Buffer.concat([...said]).length;
    await expect.poll(() => sent.length, { timeout: PATIENCE }).toBe(all);
    const spliced = await led;
    if (!(spliced instanceof Splice)) throw new Error('it was not led on');
    const closed = once(client, 'close');
    spliced.leave();
    await closed;
    return sent.subarray(all);
  }

  const head = Buffer.from(SWITCHED);

  test('[O4] tells it once: a client on a slow line is not cut off by the next look', async () => {
    const owners = await useStandIn((socket) => void socket.resume().write(SWITCHED));
    const { client, stream, led } = await useSpliced((upgrade) => splice(targetAt(owners, SILENCE), upgrade));
    const spliced = await led;
    if (!(spliced instanceof Splice)) throw new Error('it was not led on');
    const failed = vi.fn();
    stream.on('error', failed);
    spliced.leave();
    spliced.leave();
    await once(client.resume(), 'close');
    expect(failed).not.toHaveBeenCalled();
  });

  test.each([
    ['before anything is said', [head]],
    ['between two frames', [head, FRAME, FRAME]],
  ])('[O4] tells it to come again: %s', async (_, said) => {
    expect(await sentAtLeave(said)).toEqual(RESTARTING);
  });

  test.each([
    ['in the middle of a frame, of which it would be taken for a part', [head, FRAME, FRAME.subarray(0, 4)]],
    ['behind a close', [head, CLOSE]],
    ['where no WebSocket was opened', [Buffer.from('HTTP/1.1 401 Unauthorized\r\n\r\n')]],
  ])('[O4] only cuts it off %s', async (_, said) => {
    expect(await sentAtLeave(said)).toEqual(Buffer.alloc(0));
  });
});

describe('an owner that was not heard of', () => {
  test('[N2 S4] whom the front led there is cut off, whether pings are sent or not, and nobody else', async () => {
    const owners = await useStandIn((socket) => void socket.resume().write(SWITCHED));
    const gone: NodeId[] = ['third' as NodeId];
    const asked: NodeId[][] = [];
    const hops = new Hops({
      config: { clusterSecret: CLUSTER_SECRET, upgradeTimeout: PATIENCE, pingInterval: 0 },
      placement: {
        whereIs: async () => ({ here: false, node: 'other' as NodeId, address: owners.address }),
        ...{ doubt() {}, reached() {} },
        gone: async (nodes) => {
          asked.push([...nodes]);
          return gone;
        },
      },
      now: Date.now,
      log: silentLog,
    });
    await hops.look();
    const { client, stream, led } = await useSpliced((upgrade) => hops.socket(GUEST, upgrade));
    expect(await led).toBe('led');
    await hops.look();
    expect([stream.destroyed, asked]).toEqual([false, [['other']]]);
    gone.push('other' as NodeId);
    const closed = once(client.resume(), 'close');
    await hops.look();
    await closed;
  });
});

describe('an owner that is out of reach', () => {
  test('[S4] whom the front led there is cut off at the second look in a row, whatever the store says', async () => {
    const owners = await useStandIn((socket) => void socket.resume().write(SWITCHED));
    const reached = [true, false, true, false, false];
    const hops = new Hops({
      config: { clusterSecret: CLUSTER_SECRET, upgradeTimeout: PATIENCE, pingInterval: 0 },
      placement: {
        whereIs: async () => ({ here: false, node: 'other' as NodeId, address: owners.address }),
        ...{ doubt() {}, reached() {} },
        gone: () => Promise.reject(new Error('the store can not tell')),
      },
      ...{ now: Date.now, log: silentLog },
      reaches: async () => reached.shift() ?? true,
    });
    const { client, stream, led } = await useSpliced((upgrade) => hops.socket(GUEST, upgrade));
    expect(await led).toBe('led');
    for (let looks = 0; looks < 4; looks++) await hops.look();
    expect(stream.destroyed).toBe(false);
    const closed = once(client.resume(), 'close');
    await hops.look();
    await closed;
  });

  test('one that is stopped is not: its machine answers', async () => {
    const { owners } = await useHangingNode();
    const [host = '', port = ''] = owners.address.split(':');
    expect(await isReachable({ host, port: Number(port) })).toBe(true);
    expect(await isReachable({ host, port: 1 })).toBe(true); // nobody listens
  });
});

describe('a front that was stopped itself', () => {
  test('[L5 N2] passes on nothing that waited meanwhile: its clients have come again elsewhere', async () => {
    const owners = await useStandIn((socket) => void socket.resume().write(SWITCHED));
    let now = 0;
    const hops = new Hops({
      config: { clusterSecret: CLUSTER_SECRET, upgradeTimeout: PATIENCE, pingInterval: 0 },
      placement: {
        whereIs: async () => ({ here: false, node: 'other' as NodeId, address: owners.address }),
        ...{ doubt() {}, reached() {} },
        gone: async () => [],
      },
      ...{ now: Date.now, uptime: () => now, log: silentLog },
    });
    const { client, stream, led } = await useSpliced((upgrade) => hops.socket(GUEST, upgrade));
    expect(await led).toBe('led');
    for (let looks = 0; looks < 5; looks++) {
      now += 3_000;
      await hops.look();
    }
    expect(stream.destroyed).toBe(false);
    const closed = once(client.resume(), 'close');
    now += 13_000;
    const looked = hops.look();
    expect(stream.destroyed, 'before anything else is done').toBe(true);
    await Promise.all([looked, closed]);
  });
});

describe('an owner that has let a client in, and is not ready in time', () => {
  const useSlow = () => useStandIn((socket) => void socket.resume().write(HEARD));
  const soon = (owners: TestOwners): Target => ({ ...targetAt(owners, PATIENCE), timeout: 50 });

  test('[N2] lives: a socket', async () => {
    const slow = await useSlow();
    const { led } = await useSpliced((upgrade) => splice(soon(slow), upgrade));
    expect(await led).toBe('slow');
  });

  test('[N2] lives: a request', async () => {
    const slow = await useSlow();
    expect(await useForwarded((exchange) => forward(soon(slow), exchange))).toBe('slow');
  });

  test('[N2] nobody is taken from it', async () => {
    const slow = await useSlow();
    const front = await useNode(new TestOwners('front', () => slow), { UPGRADE_TIMEOUT: '50ms' });
    const answer = await ask(`${front.url}/api/sync/anna`);
    expect([answer.status, codeOf(answer), whys(front)]).toEqual([503, 'OWNER_UNREACHABLE', ['slow']]);
  });

  test('[N2] a real one says at once that it has heard', async () => {
    const { owner } = await useFrontAndOwner();
    const path = '/yjs/anna';
    const hop = { method: 'GET', url: path, address: '127.0.0.1', node: owner.owners.address };
    const header = hopHeader(CLUSTER_SECRET, { ...hop, time: Date.now() });
    const socket = connect(Number(owner.owners.address.split(':')[1]), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write(ASKING.replace('/sync', path).replace('Host', `X-Sync-Hop: ${header}\r\nHost`));
    const [first] = await once(socket, 'data');
    expect(String(first).startsWith(HEARD)).toBe(true);
  });
});

describe('limits', () => {
  test('[S4] the front holds an address to its places while an owner hangs', async () => {
    const { owners: hanging, connected } = await useHangingNode();
    const told = new TestOwners('front', () => hanging);
    const front = await useNode(told, { MAX_SOCKETS_PER_ADDRESS: '1' });
    const first = connect(front.port, '127.0.0.1');
    onTestFinished(() => void first.destroy());
    first.write('GET /api/sync/anna HTTP/1.1\r\nHost: a\r\n\r\n');
    await connected;
    const second = await ask(`${front.url}/api/sync/anna`);
    expect([second.status, codeOf(second), told.asked]).toEqual([429, 'TOO_MANY_SOCKETS', 1]);
  });

  test('[S4] who asks too often is refused where it comes to: no store and no other node is asked', async () => {
    const owner: TestOwners = new TestOwners('owner', () => owner);
    await useNode(owner);
    const limits = { MESSAGE_RATE: '1', MESSAGE_BURST: '2' };
    const front = await useNode(new TestOwners('front', () => owner), limits);
    const next = async () => (await ask(`${front.url}/api/sync/anna`)).status;
    let answered = 0;
    let status = await next();
    for (; status === 200 && answered < 50; answered++) status = await next();
    expect([status, front.owners.asked, owner.asked]).toEqual([429, answered, answered]);
  });

  test('[S4] an owner refuses before it has a body sent', async () => {
    const { owners: hanging, connected } = await useHangingNode();
    const owner = await useNode(new TestOwners('owner', () => hanging), { MAX_SOCKETS_PER_ADDRESS: '1' });
    const first = connect(owner.port, '127.0.0.1');
    onTestFinished(() => void first.destroy());
    first.write('GET /api/sync/anna HTTP/1.1\r\nHost: a\r\n\r\n');
    await connected;
    const path = '/api/sync/anna';
    const hop = { method: 'POST', url: path, address: '127.0.0.1', node: owner.owners.address };
    const header = hopHeader(CLUSTER_SECRET, { ...hop, time: Date.now() });
    const headers = { ...JSON_TYPE, Expect: '100-continue', 'X-Sync-Hop': header, 'Content-Length': '20' };
    const asked = open(`http://${owner.owners.address}${path}`, { method: 'POST', headers, agent: false });
    onTestFinished(() => void asked.on('error', () => {}).destroy());
    let isSent = false;
    asked.once('continue', () => {
      isSent = true;
    });
    asked.flushHeaders();
    const [response] = await once(asked, 'response');
    expect([response.statusCode, isSent]).toEqual([429, false]);
  });
});
