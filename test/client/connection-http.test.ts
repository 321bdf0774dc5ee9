/** What happens while no socket gets through, and what a flush waits for. Network and time are driven by hand. */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { ConnectionWorld, type HttpServer, settle } from '../support/connection-world.js';

/** A server that has a document and speaks HTTP only. */
class HttpOnly {
  readonly doc = new Y.Doc();

  readonly answer: HttpServer = ({ stateVector, update }) => {
    if (update.length > 0) Y.applyUpdate(this.doc, update);
    const diff = stateVector.length > 0 ? Y.encodeStateAsUpdate(this.doc, stateVector) : new Uint8Array(0);
    return { stateVector: Y.encodeStateVector(this.doc), update: diff };
  };

  get patients(): unknown {
    return this.doc.getMap('patients').toJSON();
  }
}

/** Started, with sockets that fail until the test says otherwise. */
async function withoutSockets(server: HttpOnly, world = new ConnectionWorld()): Promise<ConnectionWorld> {
  world.http = server.answer;
  await world.started();
  if (world.platform.WebSocket !== undefined) await world.drop();
  return world;
}

describe('[C6] while sockets fail', () => {
  test('the second failure in a row makes an exchange, which confirms what it carried', async () => {
    const server = new HttpOnly();
    server.doc.getMap('patients').set('q', new Y.Map([['name', 'Beat']]));
    const world = new ConnectionWorld({ getToken: () => 'secret' });
    world.source.create('patients', 'p', { name: 'Anna' });
    await withoutSockets(server, world);
    expect(world.exchanges).toHaveLength(0);
    await world.pass(1_000);
    await world.drop();
    expect(world.requests[0]).toEqual({
      url: 'http://sync.test:3001/base/api/yjs/anna%40home?rewrites=1&unsent=0&age=0',
      headers: {
        'Sync-Challenge': expect.any(String),
        'Device-ID': 'phone:1',
        'Content-Type': 'application/octet-stream',
        Authorization: 'Bearer secret',
      },
    });
    expect(server.patients).toEqual({ p: { name: 'Anna' }, q: { name: 'Beat' } });
    expect(world.source.doc.getMap('patients').toJSON()).toEqual(server.patients);
    expect(world.source.pending).toEqual([]);
    expect(world.report).toMatchObject({ connection: 'offline', lastSyncedAt: world.clock.now() });
    expect(world.report?.reason).toContain('over HTTP');
  });

  test('there is an exchange each 30 s at most, and none any more once a socket gets through', async () => {
    const world = await withoutSockets(new HttpOnly());
    const at: number[] = [];
    for (let passed = 0; passed < 300_000; passed += 500) {
      const before = world.requests.length;
      await world.pass(500);
      await world.drop();
      if (world.requests.length > before) at.push(world.clock.now());
    }
    const pauses = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(30_000);
    expect(Math.max(...pauses)).toBeLessThan(60_000);
    await world.pass(15_000);
    await world.welcomed();
    const before = world.requests.length;
    world.sockets.last.says(Uint8Array.of(1, 1, 0));
    await world.pass(29_000);
    expect(world.report?.connection).toBe('online');
    expect(world.requests).toHaveLength(before);
  });

  test('a device without WebSockets exchanges at once and then each 30 s', async () => {
    const server = new HttpOnly();
    const world = new ConnectionWorld({ sockets: 'none' });
    world.http = server.answer;
    await world.started();
    world.source.create('patients', 'p', { name: 'Anna' });
    await world.pass(29_999);
    expect(server.patients).toEqual({});
    await world.pass(1);
    expect(server.patients).toEqual({ p: { name: 'Anna' } });
    expect(world.report?.connection).toBe('offline');
    world.http = () => 503;
    await world.pass(30_000);
    world.http = server.answer;
    const before = world.exchanges.length;
    await world.pass(550);
    expect(world.exchanges.length).toBeGreaterThan(before);
    world.connection.stop();
    expect(world.clock.waiting).toBe(0);
  });

  // By chance 550 of 100 to 1,000 ms, or 4,050 of up to 8,000 where the server has too much to do.
  test.each([
    [503, '7', 7_550],
    [429, '60', 64_050],
    [503, null, 550],
    [503, 'Wed, 21 Oct 2026 07:28:00 GMT', 550],
  ])('it waits as long as the server says, and some time more: %i, %s', async (status, retryAfter, ms) => {
    const world = new ConnectionWorld({ sockets: 'none' });
    world.http = () => status;
    world.retryAfter = retryAfter;
    await world.started();
    await world.pass(ms - 1);
    expect(world.exchanges).toHaveLength(1);
    await world.pass(1);
    expect(world.exchanges).toHaveLength(2);
  });
});

describe('[H3] an exchange', () => {
  test('gives what pending changes lost in the document (D4)', async () => {
    const other = new Y.Doc();
    other.clientID = 9; // the higher client id wins
    other.getMap('patients').set('p', new Y.Map([['name', 'Anna']]));
    const world = new ConnectionWorld();
    world.source.create('patients', 'p', { room: 4 });
    Y.applyUpdate(world.source.doc, Y.encodeStateAsUpdate(other));
    await withoutSockets(new HttpOnly(), world);
    await world.pass(1_000);
    await world.drop();
    const alone = new Y.Doc();
    Y.applyUpdate(alone, world.exchanges[0]?.update ?? new Uint8Array(0));
    expect(alone.getMap('patients').toJSON()).toEqual({ p: { room: 4 } });
  });

  test('gives a server of an older backup what it lost, deletions included', async () => {
    const server = new HttpOnly();
    const world = new ConnectionWorld();
    world.source.create('patients', 'p', { name: 'Anna' });
    Y.applyUpdate(server.doc, world.source.diff(Uint8Array.of(0)));
    world.source.create('patients', 'q', { name: 'Beat' });
    world.source.write((doc) => doc.getMap('patients').delete('p'));
    world.source.confirm(3);
    await withoutSockets(server, world);
    await world.pass(1_000);
    await world.drop();
    expect(server.patients).toEqual({ q: { name: 'Beat' } });
  });

  test('gives deletions once, which no state vector shows', async () => {
    const server = new HttpOnly();
    const world = new ConnectionWorld({ sockets: 'none' });
    world.source.create('patients', 'p', { name: 'Anna' });
    Y.applyUpdate(server.doc, world.source.diff(Uint8Array.of(0)));
    world.source.write((doc) => doc.getMap('patients').delete('p'));
    world.source.confirm(2);
    await withoutSockets(server, world);
    expect(server.patients).toEqual({});
    await world.pass(60_000);
    expect(world.exchanges.filter(({ update }) => update.length > 0)).toHaveLength(1);
  });

  test('sends the whole document where the server lacks what the changes build on', async () => {
    const server = new HttpOnly();
    const world = new ConnectionWorld();
    world.source.create('patients', 'p', { name: 'Anna' });
    world.source.confirm(1);
    world.source.create('patients', 'q', { name: 'Beat' });
    await withoutSockets(server, world);
    world.http = (exchange) => {
      const probe = new Y.Doc();
      if (exchange.update.length > 0) Y.applyUpdate(probe, exchange.update);
      return probe.store.pendingStructs === null ? server.answer(exchange) : 409;
    };
    await world.pass(1_000);
    await world.drop();
    expect(server.patients).toEqual({ p: { name: 'Anna' }, q: { name: 'Beat' } });
    expect(world.source.pending).toEqual([]);
  });

  test('is given up after 30 s, and comes to nothing after stop()', async () => {
    const world = await withoutSockets(new HttpOnly());
    let answers = 0;
    world.http = () => new Promise(() => answers++);
    world.source.create('patients', 'p', {});
    await world.pass(1_000);
    await world.drop();
    await world.pass(30_100); // with the time that the body takes
    expect(answers).toBe(1);
    let late = (): void => {};
    world.http = (exchange) =>
      new Promise((resolve) => {
        late = () => resolve({ ...exchange, stateVector: Uint8Array.of(0) });
      });
    await world.drop();
    expect(world.exchanges).toHaveLength(2);
    world.connection.stop();
    late();
    await settle();
    expect(world.source.confirmed).toEqual([]);
    expect(world.report).toMatchObject({ connection: 'offline', reason: 'Not connected.' });
  });

  test('[C6] 401 and 403 are taken as they are of a socket', async () => {
    let asked = 0;
    const world = await withoutSockets(
      new HttpOnly(),
      new ConnectionWorld({ getToken: () => `t${++asked}` }),
    );
    world.http = () => 401;
    await world.pass(1_000);
    await world.drop(); // 401, at once again with a fresh token, 401
    expect(world.requests.map(({ headers }) => headers.Authorization)).toEqual(['Bearer t3', 'Bearer t5']);
    expect(world.report?.connection).toBe('needs-token');
    await world.pass(20_000);
    await world.drop();
    expect(world.report?.connection).toBe('needs-token');
    world.http = () => 403;
    await world.pass(30_000);
    await world.drop();
    expect(world.report?.connection).toBe('refused');
    const before = world.sockets.all.length;
    await world.pass(299_000);
    expect(world.sockets.all).toHaveLength(before);
  });

  test.each([
    ['nothing', Uint8Array.of()],
    ['bytes that read as an answer', Uint8Array.of(1, 0, 0)],
    ['a page', new TextEncoder().encode('<h1>Welcome to our network</h1>')],
  ])('[C10] 200 of something on the way with %s confirms nothing', async (_, page) => {
    const world = new ConnectionWorld();
    world.source.create('patients', 'p', { name: 'Anna' });
    world.isForeign = true;
    await withoutSockets(new HttpOnly(), world);
    world.http = () => page;
    await world.pass(1_000);
    await world.drop();
    expect(world.requests).toHaveLength(1);
    expect(world.source.confirmed).toEqual([]);
    expect(world.report).toMatchObject({ connection: 'offline', error: null });
    expect(world.report?.lastSyncedAt).toBeUndefined();
  });

  test.each([200, 204, 301, 302, 400, 401, 403, 404, 408, 409, 410, 413, 418, 429, 500, 503])(
    '[C10] %i of something on the way is as no answer',
    async (status) => {
      const world = new ConnectionWorld();
      world.source.create('patients', 'p', { name: 'Anna' });
      const server = new HttpOnly();
      await withoutSockets(server, world);
      world.isForeign = true;
      world.http = () => status;
      await world.pass(1_000);
      await world.drop();
      expect(world.requests).toHaveLength(1);
      expect(world.report).toMatchObject({ connection: 'offline', error: null });
      expect(world.source.pending).toHaveLength(1);
      world.isForeign = false;
      world.http = server.answer;
      await world.pass(30_000);
      await world.drop();
      expect(world.source.pending).toEqual([]);
    },
  );
});

describe('[C2] flush', () => {
  test('waits, while online, until what is pending is confirmed and the server was heard', async () => {
    const world = await new ConnectionWorld().online();
    const done: string[] = [];
    world.source.create('patients', 'p', {});
    void world.connection.flush().then(() => done.push('flushed'));
    world.sockets.last.answers(1); // asked before the flush
    await settle();
    expect(done).toEqual([]);
    expect(world.sockets.last.checkpoints).toEqual([0, 1, 1]);
    world.sockets.last.answers(1);
    await settle();
    expect(done).toEqual(['flushed']);
    expect(world.exchanges).toEqual([]);
  });

  test('goes over HTTP at once where no socket gets through', async () => {
    const server = new HttpOnly();
    const world = await withoutSockets(server);
    world.source.create('patients', 'p', { name: 'Anna' });
    await world.connection.flush();
    expect(server.patients).toEqual({ p: { name: 'Anna' } });
    expect(world.sockets.all).toHaveLength(2);
  });

  test('is done with the first socket that gets through', async () => {
    const world = await new ConnectionWorld().started();
    world.source.create('patients', 'p', { name: 'Anna' });
    const flushed = world.connection.flush();
    await world.welcomed();
    await flushed;
    expect(world.source.pending).toEqual([]);
  });

  test('is done where another tab gives what it waits for while the socket opens', async () => {
    const world = await new ConnectionWorld().started();
    world.source.create('patients', 'p', { name: 'Anna' });
    const done: string[] = [];
    void world.connection.flush().then(() => done.push('flushed'));
    world.source.confirm(1);
    await world.welcomed();
    expect(world.report?.connection).toBe('online');
    expect(done).toEqual(['flushed']);
  });

  test('is done where HTTP confirms what it waits for and fails behind that, while the socket opens', async () => {
    const world = await new ConnectionWorld().online();
    world.source.create('patients', 'p', { name: 'Anna' });
    const done: string[] = [];
    void world.connection.flush().then(() => done.push('flushed'));
    const server = new HttpOnly();
    let confirm = (): void => {};
    const confirmed = new Promise<void>((resolve) => {
      confirm = resolve;
    });
    world.http = async (exchange) => {
      if (world.requests.length > 1) return 503;
      await confirmed;
      return server.answer(exchange);
    };
    await world.drop(1011);
    await world.pass(1_000);
    expect(world.sockets.all).toHaveLength(2);
    confirm();
    await settle();
    expect(world.source.pending).toEqual([]);
    expect(world.requests).toHaveLength(2);
    await world.welcomed();
    expect(world.report?.connection).toBe('online');
    expect(done).toEqual(['flushed']);
  });

  test('fails with OFFLINE once both ways have failed', async () => {
    const world = await new ConnectionWorld().started();
    await world.drop();
    const failed = world.connection.flush().catch((error: unknown) => error);
    await settle();
    await world.drop();
    expect(await failed).toMatchObject({ name: 'ClientError', code: 'OFFLINE' });
    world.connection.stop();
    await expect(world.connection.flush()).rejects.toMatchObject({ code: 'OFFLINE' });
  });

  test('fails with OFFLINE where the connection is lost under it and HTTP fails, too', async () => {
    const world = await new ConnectionWorld().online();
    const failed = world.connection.flush().catch((error: unknown) => error);
    await world.drop();
    expect(await failed).toMatchObject({ code: 'OFFLINE' });
  });

  test.each([
    [401, 4401, 'NEEDS_TOKEN'],
    [403, 4403, 'REFUSED'],
  ])('fails where the server answers %i and %i', async (status, close, code) => {
    const world = await new ConnectionWorld().started();
    await world.drop(close, 'no');
    world.http = () => status;
    const failed = world.connection.flush().catch((error: unknown) => error);
    await settle();
    expect(await failed).toMatchObject({ code });
  });

  test('fails after a while where nobody answers', async () => {
    const world = await new ConnectionWorld().online();
    const failed = world.connection.flush().catch((error: unknown) => error);
    for (let n = 0; n < 5; n++) {
      await world.pass(10_000);
      world.sockets.last.says(Uint8Array.of(1, 1, 0));
    }
    expect(await failed).toMatchObject({ code: 'OFFLINE' });
  });
});
