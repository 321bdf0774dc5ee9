/** Devices that come to a node which does not serve their user: real servers, real sockets, unmodified clients. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { hopHeader } from '../../../server/cluster/hop-header.js';
import { SyncError } from '../../../server/errors.js';
import {
  CLUSTER_SECRET,
  type TestNode,
  TestOwners,
  useFrontAndOwner,
  useHangingNode,
  useNode,
  useStandIn,
} from '../../support/cluster.js';
import { ask } from '../../support/http-ask.js';
import { JWT, tokenFor } from '../../support/tokens.js';
import { openJson, openRaw, useJson, useNative } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

const UNPACED = { JSON_PACE: '0' };
const urlOf = ({ owners }: TestNode): string => `http://${owners.address}`;
const named = ({ events }: TestNode, name: string) =>
  events.filter((event) => event.name === name).map(({ fields }) => fields);
const whys = (node: TestNode) => named(node, 'nodeNotReached').map((fields) => 'why' in fields && fields.why);

const written = (document: object): string =>
  JSON.stringify({
    changes: [
      { type: 'DATA_UPDATE', userId: 'anna', deviceId: 'pump', data: { collection: 'notes', document } },
    ],
  });

describe('a device that comes to another node than its owner', () => {
  test('[N1 N2] is synced, and edits go both ways: native, JSON, HTTP', async () => {
    const { front, owner } = await useFrontAndOwner(UNPACED);
    const [near, far] = [await useNative(owner, 'anna', 'near'), await useNative(front, 'anna', 'far')];
    const json = await useJson(front, 'anna', 'tablet');
    far.record('notes', 'n').set('text', 'from afar');
    await near.until(() => near.json().notes?.n?.text === 'from afar');
    near.record('notes', 'n').set('text', 'and back');
    await far.until(() => far.json().notes?.n?.text === 'and back');
    json.update('notes', { id: 'j', text: 'as JSON' });
    await json.saved();
    await far.until(() => far.json().notes?.j?.text === 'as JSON');
    const changes = written({ id: 'h', text: 'by HTTP' });
    const headers = { 'Content-Type': 'application/json', 'Device-ID': 'pump' };
    const answered = await ask(`${front.url}/api/sync/anna`, { method: 'POST', headers, body: changes });
    expect(answered.status).toBe(200);
    await json.until(() => json.store.notes?.h?.text === 'by HTTP');
    const read = await ask(`${front.url}/api/sync/anna`);
    expect(JSON.parse(String(read.body)).notes).toHaveLength(3);
    const known = await ask(`${front.url}/api/sync/anna`, {
      headers: { 'If-None-Match': String(read.headers.etag) },
    });
    expect(known.status).toBe(304);
    expect((await ask(`${front.url}/api/users/anna`, { method: 'DELETE' })).status).toBe(204);
    expect(front.events.filter(({ name }) => name === 'connected' || name === 'erased')).toEqual([]);
    expect(named(owner, 'erased')).toEqual([{ user: 'anna' }]);
  });

  test('[S4] sends and gets 20 MB in one message, and in one body', async () => {
    const { front, owner } = await useFrontAndOwner();
    const [near, far] = [await useNative(owner, 'anna', 'near'), await useNative(front, 'anna', 'far')];
    const text = 'z'.repeat(20_000_000);
    far.record('notes', 'n').set('text', text);
    await far.saved();
    await near.until(() => near.json().notes?.n?.text === text);
    const fresh = await useNative(front, 'anna', 'fresh');
    expect(fresh.json().notes?.n?.text === text).toBe(true);
    const body = written({ id: 'h', text: text.slice(0, 3_000_000) });
    const headers = { 'Content-Type': 'application/json' };
    expect((await ask(`${front.url}/api/sync/anna`, { method: 'POST', headers, body })).status).toBe(200);
    await far.until(() => String(far.json().notes?.h?.text).length === 3_000_000);
  });

  test('[N8] is told by close code and reason what the owner says', async () => {
    const { front } = await useFrontAndOwner();
    const json = await useJson(front, 'anna', 'tablet');
    for (let n = 0; n < 20; n++) json.ws.send('no JSON');
    expect(await json.end()).toEqual({ code: 1008, reason: expect.stringContaining('bad messages') });
    const raw = openRaw(front, 'anna', 'phone');
    await raw.until(() => raw.messages.length > 0);
    raw.send(new Uint8Array([99]));
    expect((await raw.end()).code).toBe(1007);
  });

  test('[L4 N6] its own pongs reach the owner, which ends who answers none', async () => {
    const { front } = await useFrontAndOwner({ PING_INTERVAL: '200ms' });
    const [alive, mute] = [
      await useJson(front, 'anna', 'alive'),
      openJson(front, 'anna', 'mute', { autoPong: false }),
    ];
    let pings = 0;
    alive.ws.on('ping', () => pings++);
    expect((await mute.end()).code).toBe(1006);
    await expect.poll(() => pings, { timeout: PATIENCE }).toBeGreaterThan(3);
    expect(alive.closed).toBeNull();
  });

  test('[S4] that reads slowly holds up nobody, and what waits for it waits at the owner', async () => {
    const { front, owner } = await useFrontAndOwner();
    const slow = await useNative(front, 'anna', 'slow');
    const writer = await useNative(owner, 'anna', 'writer');
    const { ws } = slow.provider as { ws: WebSocket | null };
    ws?.pause();
    const waiting = async () => {
      const metrics = await ask(`${owner.url}/metrics`);
      return Number(/telemed_unsent_bytes (\d+)/.exec(String(metrics.body))?.[1]);
    };
    // The kernel keeps some 30 MB on the way, 2 MB at a time.
    const most = 40;
    let written = 0;
    for (; written < most && (await waiting()) < 1_000_000; written++) {
      writer.record('notes', 'n').set('text', String(written).padEnd(2_000_000, 'z'));
      await writer.saved();
    }
    expect(written).toBeLessThan(most);
    ws?.resume();
    await slow.until(() => slow.record('notes', 'n').get('text') === writer.record('notes', 'n').get('text'));
    expect(slow.connections).toBe(1);
  });

  test('[O4] hears of an owner that stops, and comes again', async () => {
    const { front, owner } = await useFrontAndOwner();
    const far = await useNative(front, 'anna', 'far');
    await owner.app.close();
    await far.until(() => far.closes.length > 0);
    expect(far.closes[0]).toBe(1012);
    await expect.poll(() => whys(front), { timeout: PATIENCE }).toContain('refused');
  });

  test('[O4] a front that stops tells whom it led on to come again', async () => {
    const { front, owner } = await useFrontAndOwner();
    const json = await useJson(front, 'anna', 'tablet');
    json.update('notes', { id: 'n', text: 'x' });
    await json.saved();
    expect(await front.app.close()).toBe(true);
    expect(await json.end()).toEqual({ code: 1012, reason: new SyncError('RESTARTING').message });
    await expect.poll(() => named(owner, 'disconnected')).toHaveLength(1);
  });
});

describe('a user whom another node has taken', () => {
  test.each([
    ['awake', {}],
    ['asleep', { REST_AFTER: '100ms' }],
  ])(
    '[N2] who follows the document where it was, %s, is told to come again, and is led on',
    async (how, options) => {
      const users = { owner: null as TestOwners | null };
      const owners = ['one', 'two'].map((name) => {
        const each: TestOwners = new TestOwners(name, () => users.owner ?? each);
        return each;
      });
      const [one, two] = [
        await useNode(owners[0] as TestOwners, options),
        await useNode(owners[1] as TestOwners),
      ];
      const [json, native] = [await useJson(one, 'anna', 'tablet'), await useNative(one, 'anna', 'phone')];
      if (how === 'asleep') {
        native.record('notes', 'n').set('text', 'x');
        await native.saved();
        const asleep = async () => String((await ask(`${one.url}/metrics`)).body);
        await expect.poll(asleep, { timeout: PATIENCE, interval: 200 }).toContain('documents_asleep 1');
      }
      users.owner = two.owners;
      expect((await ask(`${one.url}/api/sync/anna`)).status).toBe(200);
      expect((await json.end()).code).toBe(1012);
      await native.until(() => native.closes[0] === 1012 && native.connections === 2);
      await native.synced();
      expect(named(two, 'connected')).toEqual([{ user: 'anna', device: 'phone', via: 'yjs' }]);
    },
  );
});

describe('who somebody is', () => {
  test('[N8 O2] the address of the client is that of the owner, in limits and log', async () => {
    const options = { TRUST_PROXY: '1', MAX_SOCKETS_PER_ADDRESS: '1' };
    const owner: TestOwners = new TestOwners('owner', () => owner);
    const fronts = [1, 2].map((n) => new TestOwners(`front ${n}`, () => owner));
    const served = await useNode(owner, options);
    const [one, two] = await Promise.all(fronts.map((front) => useNode(front, options)));
    const from = (address: string) => ({ headers: { 'X-Forwarded-For': address } });
    const first = openJson(one as TestNode, 'anna', 'a', from('9.9.9.1'));
    await first.next('CONNECTION_CONFIRMED');
    const second = new WebSocket(
      `${two?.url.replace('http', 'ws')}/sync?userId=anna&deviceId=b`,
      from('9.9.9.1'),
    );
    const [, response] = await once(second, 'unexpected-response');
    onTestFinished(() => second.terminate());
    second.on('error', () => {});
    expect([response.statusCode, response.headers['retry-after']]).toEqual([429, '10']);
    expect(named(served, 'upgradeRefused')).toEqual([
      expect.objectContaining({ address: '9.9.9.1', status: 429 }),
    ]);
    const third = openJson(two as TestNode, 'anna', 'c', from('9.9.9.2'));
    await third.next('CONNECTION_CONFIRMED');
  });

  test('[A2 A4] is asked again at the owner: a token that was revoked there opens nothing, and ends what is open', async () => {
    const options = { ...JWT, ADMIN_TOKEN: 'the-token-of-the-operator' };
    const { front, owner } = await useFrontAndOwner(options);
    const token = await tokenFor('anna', { jti: 'one' });
    const open = openRaw(front, 'anna', 'phone', { token });
    await open.until(() => open.messages.length > 0);
    const headers = { Authorization: 'Bearer the-token-of-the-operator', 'Content-Type': 'application/json' };
    const body = JSON.stringify({ jti: 'one' });
    const revoked = await ask(`${owner.url}/admin/revoke`, { method: 'POST', headers, body });
    expect(revoked.status).toBeLessThan(300);
    expect((await open.end()).code).toBe(4401);
    expect((await openRaw(front, 'anna', 'phone', { token }).end()).code).toBe(4401);
    const bearer = { Authorization: `Bearer ${token}` };
    expect((await ask(`${front.url}/api/sync/anna`, { headers: bearer })).status).toBe(401);
  });

  test('[A2] strangers are told nothing of owners: the front refuses them itself', async () => {
    const { front } = await useFrontAndOwner(JWT);
    expect((await ask(`${front.url}/api/sync/anna`)).status).toBe(401);
    expect((await openRaw(front, 'anna', 'phone').end()).code).toBe(4401);
    expect(front.owners.asked).toBe(0);
  });

  test('[A2] a header that a client made is not believed at the public door, and goes no further', async () => {
    const { front, owner } = await useFrontAndOwner({ MAX_SOCKETS_PER_ADDRESS: '1' });
    const forged = (url: string) =>
      hopHeader(CLUSTER_SECRET, {
        ...{ method: 'GET', url, address: '9.9.9.9', node: owner.owners.address, time: Date.now() },
      });
    const first = openJson(owner, 'anna', 'a', {
      headers: { 'X-Sync-Hop': forged('/sync?userId=anna&deviceId=a') },
    });
    await first.next('CONNECTION_CONFIRMED');
    expect(
      (await ask(`${owner.url}/api/sync/anna`, { headers: { 'X-Sync-Hop': forged('/api/sync/anna') } }))
        .status,
    ).toBe(429);
    expect(
      (await ask(`${front.url}/api/sync/anna`, { headers: { 'X-Sync-Hop': forged('/api/sync/anna') } }))
        .status,
    ).toBe(429);
  });
});

describe('the operator', () => {
  const ADMIN_TOKEN = 'the-token-of-the-operator';

  test('[P7 O3] asks and erases at any node, by token or by the cookie of the page', async () => {
    const { front, owner } = await useFrontAndOwner({ ADMIN_TOKEN });
    const json = await useJson(owner, 'anna', 'tablet');
    json.update('notes', { id: 'n', text: 'x' });
    await json.saved();
    const bearer = { Authorization: `Bearer ${ADMIN_TOKEN}` };
    const exported = await ask(`${front.url}/admin/users/anna/export`, { headers: bearer });
    expect([exported.status, String(exported.body)]).toEqual([200, expect.stringContaining('"text":"x"')]);
    const body = JSON.stringify({ token: ADMIN_TOKEN });
    const headers = { 'Content-Type': 'application/json' };
    const signedIn = await ask(`${front.url}/admin/api/sign-in`, { method: 'POST', headers, body });
    const [cookie = ''] = signedIn.headers['set-cookie'] ?? [];
    const page = { Cookie: cookie.split(';')[0] ?? '' };
    const records = await ask(`${front.url}/admin/api/users/anna/records`, { headers: page });
    expect([records.status, JSON.parse(String(records.body)).revision]).toEqual([200, 1]);
    const erased = await ask(`${front.url}/admin/api/users/anna`, { method: 'DELETE', headers: page });
    expect(erased.status).toBe(204);
    expect(named(owner, 'erased')).toEqual([{ user: 'anna' }]);
  });

  test.each(['/admin/users/anna/export', '/admin/api/users/anna/records'])(
    '[A0] is told of no owner without the token: %s',
    async (path) => {
      const { front } = await useFrontAndOwner({ ADMIN_TOKEN });
      expect((await ask(`${front.url}${path}`)).status).toBe(401);
      expect(front.owners.asked).toBe(0);
    },
  );
});

describe('the door for other nodes', () => {
  const good = ({ owners }: TestNode, url: string, more = {}) => ({
    headers: {
      'X-Sync-Hop': hopHeader(CLUSTER_SECRET, {
        ...{ method: 'GET', url, address: '127.0.0.1', node: owners.address, time: Date.now(), ...more },
      }),
    },
  });

  test.each(['/health', '/metrics', '/api/sync/anna', '/admin/users/anna/export'])(
    '[A2] answers 403 without a good header: %s',
    async (path) => {
      const { owner } = await useFrontAndOwner();
      expect((await ask(`${urlOf(owner)}${path}`)).status).toBe(403);
      const late = { time: Date.now() - 120_000 };
      expect((await ask(`${urlOf(owner)}${path}`, good(owner, path, late))).status).toBe(403);
      expect((await ask(`${urlOf(owner)}${path}`, good(owner, path, { node: 'other:1' }))).status).toBe(403);
      expect(named(owner, 'hopRefused')).toHaveLength(3);
    },
  );

  test('[A2] refuses upgrades without one, too', async () => {
    const { owner } = await useFrontAndOwner();
    const raw = openRaw({ url: urlOf(owner) }, 'anna', 'phone');
    await raw.until(() => raw.status !== null);
    expect(raw.status).toBe(403);
  });

  test.each(['/metrics', '/admin/users/anna/export'])(
    '[A0] is none of this machine, for the operator without ADMIN_TOKEN: %s',
    async (path) => {
      const { owner } = await useFrontAndOwner();
      expect((await ask(`${urlOf(owner)}${path}`, good(owner, path))).status).toBe(403);
      expect(named(owner, 'hopRefused')).toEqual([]);
      expect((await ask(`${owner.url}/metrics`)).status).toBe(200);
    },
  );

  test('[O1] another secret on the other node: clients are put off, and both logs say why', async () => {
    const owner: TestOwners = new TestOwners('owner', () => owner);
    const served = await useNode(owner, { CLUSTER_SECRET: `${CLUSTER_SECRET}, or nearly` });
    const front = await useNode(new TestOwners('front', () => owner));
    const answer = await ask(`${front.url}/api/sync/anna`);
    expect([answer.status, JSON.parse(String(answer.body)).code]).toEqual([503, 'OWNER_UNREACHABLE']);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(3);
    expect(named(front, 'nodeNotReached')).toEqual([{ node: owner.address, why: 'not let in' }]);
    expect(named(served, 'hopRefused')).toHaveLength(1);
  });
});

describe('never twice', () => {
  test('[N2] nodes that name each other put clients off, and lead nobody around', async () => {
    const one: TestOwners = new TestOwners('one', () => two);
    const two: TestOwners = new TestOwners('two', () => one);
    const [front, other] = [await useNode(one), await useNode(two)];
    const answer = await ask(`${front.url}/api/sync/anna`);
    expect([answer.status, JSON.parse(String(answer.body)).code]).toEqual([503, 'OWNER_UNREACHABLE']);
    expect([one.asked, two.asked]).toEqual([3, 3]);
    const raw = openRaw(front, 'anna', 'phone');
    await raw.until(() => raw.ws.readyState === WebSocket.OPEN);
    expect(raw.messages).toEqual([]);
    expect([one.asked, two.asked]).toEqual([6, 6]);
    await front.app.close();
    await raw.end();
    expect(other.events.filter(({ name }) => name === 'connected')).toEqual([]);
  });

  test('[N2] an owner that changes meanwhile is found, and nothing of a body is lost on the way', async () => {
    const owner: TestOwners = new TestOwners('owner', () => owner);
    const former: TestOwners = new TestOwners('former', () => owner);
    const front = new TestOwners('front', (_, asked) => (asked % 2 === 1 ? former : owner));
    await useNode(former);
    await useNode(owner);
    const { url } = await useNode(front);
    const text = 'z'.repeat(3_000_000);
    const body = written({ id: 'n', text });
    const headers = { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' };
    expect((await ask(`${url}/api/sync/anna`, { method: 'POST', headers, body })).status).toBe(200);
    const json = await useJson({ url }, 'anna', 'tablet');
    expect(json.store.notes?.n?.text === text).toBe(true);
    expect([front.asked, front.relieved]).toEqual([4, []]);
  });

  test('[N2] a node that does not listen is doubted at once, one that hangs after UPGRADE_TIMEOUT', async () => {
    const { owners: hanging } = await useHangingNode();
    const owner: TestOwners = new TestOwners('owner', () => owner);
    const told = new TestOwners('front', (user) => (user === 'anna' ? owner : hanging));
    const front = await useNode(told, { UPGRADE_TIMEOUT: '200ms' });
    expect((await ask(`${front.url}/api/sync/anna`)).status).toBe(503);
    expect(whys(front)).toEqual(['refused', 'refused', 'refused']);
    expect(told.relieved).toEqual(['owner', 'owner']);
    expect((await ask(`${front.url}/api/sync/bert`)).status).toBe(503);
    const raw = openRaw(front, 'bert', 'phone');
    await raw.until(() => raw.ws.readyState === WebSocket.OPEN);
    expect(whys(front).slice(3)).toEqual(['silent', 'silent']);
    expect(told.relieved).not.toContain(hanging.name);
  });

  test.each([1, 2])(
    '[S4] a client that goes while it is led on leaves nothing behind: asked %i at once',
    async (count) => {
      const led: Socket[] = [];
      const hanging = await useStandIn((socket) => void led.push(socket.resume()));
      const front = await useNode(new TestOwners('front', () => hanging), { UPGRADE_TIMEOUT: '1h' });
      const socket = connect(front.port, '127.0.0.1');
      socket.write('GET /api/sync/anna HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(count));
      await expect.poll(() => led.length, { timeout: PATIENCE }).toBe(count);
      socket.destroy();
      await expect.poll(() => led.every(({ closed }) => closed), { timeout: PATIENCE }).toBe(true);
      expect(named(front, 'nodeNotReached')).toEqual([]);
    },
  );
});
