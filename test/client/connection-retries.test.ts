/** When a connection is tried again. Sockets, time and chance are driven by hand, so that each pause is exact. */
import { describe, expect, test } from 'vitest';
import { Backoff } from '../../client/connection/backoff.js';
import { messages } from '../../server/protocol/yjs.js';
import { ConnectionWorld, settle } from '../support/connection-world.js';

const sockets = (world: ConnectionWorld): number => world.sockets.all.length;

/** How long until the next socket, in steps of 50 ms. */
async function pauseOf(world: ConnectionWorld): Promise<number> {
  const before = sockets(world);
  let passed = 0;
  while (sockets(world) === before && passed < 60_000) {
    await world.pass(50);
    passed += 50;
  }
  return passed;
}

describe('[C6] the pauses', () => {
  test('are drawn from windows that double up to 30 s, and start anew after a reset', () => {
    const longest = new Backoff(() => 0.999_999_999);
    const windows = Array.from({ length: 8 }, () => Math.round(longest.next()));
    expect(windows).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    longest.reset();
    expect(Math.round(longest.next())).toBe(1_000);
    const shortest = new Backoff(() => 0);
    expect(Array.from({ length: 8 }, () => shortest.next())).toEqual(Array(8).fill(100));
  });

  test('grow with attempts that fail, and start anew after a connection that was online', async () => {
    const world = await new ConnectionWorld().started();
    const pauses: number[] = [];
    for (let n = 0; n < 7; n++) {
      await world.drop();
      pauses.push(await pauseOf(world));
    }
    expect(pauses).toEqual([550, 1_050, 2_050, 4_050, 8_050, 15_050, 15_050]);
    await world.welcomed();
    await world.drop(1012, 'restarting');
    expect(world.report).toMatchObject({ connection: 'offline', reason: 'restarting' });
    expect(await pauseOf(world)).toBe(550);
  });

  test('stay long where a connection opens, but never gets online', async () => {
    const world = await new ConnectionWorld().started();
    const pauses: number[] = [];
    for (let n = 0; n < 4; n++) {
      world.sockets.last.welcomes();
      await world.drop(1011, 'not saved');
      pauses.push(await pauseOf(world));
    }
    expect(pauses).toEqual([550, 1_050, 2_050, 4_050]);
  });

  test('begin with a longer one for a server that has too much to do', async () => {
    const world = await new ConnectionWorld().online();
    await world.drop(1013);
    expect(await pauseOf(world)).toBe(4_050);
  });

  test.each([1007, 1008, 1009])('are the longest after %i, which is an error', async (code) => {
    const world = await new ConnectionWorld().online();
    await world.drop(code, 'malformed');
    expect(world.report).toMatchObject({
      connection: 'offline',
      reason: 'malformed',
      error: { code: 'REFUSED', message: 'malformed' },
    });
    expect(await pauseOf(world)).toBe(15_050);
    await world.welcomed();
    expect(world.report?.error).toBeNull();
  });
});

describe('[C6] hints', () => {
  test.each(['online', 'foreground'] as const)(
    '%s makes one attempt at once, however often',
    async (hint) => {
      const world = await new ConnectionWorld().started();
      await world.drop();
      world.hint(hint);
      world.hint('foreground');
      await settle();
      expect(sockets(world)).toBe(2);
      await world.drop();
      world.hint('online');
      await settle();
      expect(sockets(world)).toBe(2);
      expect(await pauseOf(world)).toBe(550);
    },
  );

  test('come to nothing while an attempt is under way or it is online', async () => {
    const world = await new ConnectionWorld().started();
    world.hint('online');
    await settle();
    await world.welcomed();
    world.hint('foreground');
    await settle();
    expect(sockets(world)).toBe(1);
    expect(world.report?.connection).toBe('online');
  });

  test.each(['online', 'foreground'] as const)(
    '[N10] after %s, a socket that is dead is replaced within 8 s, however often it is said',
    async (hint) => {
      const world = await new ConnectionWorld().online();
      for (let passed = 0; passed < 3_000; passed += 1_000) {
        world.hint(hint);
        await world.pass(1_000);
      }
      expect(sockets(world)).toBe(2);
      expect(world.report?.connection).toBe('connecting');
      await world.welcomed();
      expect(world.report?.connection).toBe('online');
    },
  );

  test('[N10] after a hint, an attempt that hangs is replaced, too', async () => {
    const world = await new ConnectionWorld().started();
    await world.pass(2_000);
    world.hint('online');
    await world.pass(3_000);
    expect(sockets(world)).toBe(2);
    await world.drop(); // the network needs a moment
    expect(await pauseOf(world)).toBe(550);
  });

  test('[N10] after a hint, a socket that answers stays', async () => {
    const world = await new ConnectionWorld().online();
    world.hint('online');
    world.sockets.last.answers(0);
    await world.pass(15_000);
    world.sockets.last.says(messages.keepAlive);
    await world.pass(29_000);
    expect(sockets(world)).toBe(1);
    expect(world.report?.connection).toBe('online');
  });

  test('[N10] after a hint, a socket on which a large part is still under way gets its time', async () => {
    const world = await new ConnectionWorld().started();
    world.sockets.last.open();
    world.sockets.last.says(messages.syncStep1(Uint8Array.of(0)));
    await settle();
    world.hint('foreground');
    await world.pass(11_000);
    world.sockets.last.says(messages.update(Uint8Array.of(0, 0)));
    await world.pass(11_000);
    expect(sockets(world)).toBe(1);
  });

  test('offline is a reason, never a gate', async () => {
    const world = await new ConnectionWorld().started();
    await world.drop();
    world.hint('offline');
    expect(world.report).toMatchObject({ connection: 'offline', reason: 'This device is not on a network.' });
    expect(await pauseOf(world)).toBe(550);
    await world.welcomed();
    expect(world.report).toMatchObject({ connection: 'online', reason: null });
  });
});

describe('[N6] liveness', () => {
  test('30 s without a message end a connection', async () => {
    const world = await new ConnectionWorld().online();
    await world.pass(29_000);
    world.sockets.last.says(Uint8Array.of(1, 1, 0));
    await world.pass(29_900);
    expect(world.report?.connection).toBe('online');
    await world.pass(200);
    expect(world.sockets.last.closedWith).toBe(1000);
    expect(world.report).toMatchObject({ connection: 'offline', reason: 'The server has gone silent.' });
  });

  test('an attempt fails after 10 s, and what the old socket says later is ignored', async () => {
    const world = await new ConnectionWorld().started();
    const old = world.sockets.last;
    await world.pass(10_000);
    expect(world.report?.connection).toBe('offline');
    old.welcomes();
    old.drops();
    await settle();
    expect(old.sent).toEqual([]);
    expect(await pauseOf(world)).toBe(550);
  });

  test('a WebSocket that can not be made is a failed attempt', async () => {
    const world = new ConnectionWorld({
      platform: {
        ...new ConnectionWorld().platform,
        WebSocket: class {
          constructor() {
            throw new SyntaxError('bad address');
          }
        } as never,
      },
    });
    await world.started();
    expect(world.report?.connection).toBe('offline');
    expect(world.report?.reason).toContain('bad address');
  });
});

describe('[C6] tokens', () => {
  /** Gives the tokens t1, t2 … */
  function counted(): { readonly getToken: () => Promise<string> } {
    let n = 0;
    return { getToken: async () => `t${++n}` };
  }
  const tokens = (world: ConnectionWorld): (string | null)[] =>
    world.sockets.all.map(({ protocols }) => protocols[1] ?? null);

  test('getToken is called anew for each attempt; null is none', async () => {
    const world = await new ConnectionWorld(counted()).started();
    await world.drop();
    await pauseOf(world);
    expect(tokens(world)).toEqual(['t1', 't2']);
    expect(tokens(await new ConnectionWorld({ getToken: () => null }).started())).toEqual([null]);
  });

  test('4401 is answered by a fresh token at once, then with pauses, as needs-token', async () => {
    const world = await new ConnectionWorld(counted()).online();
    await world.drop(4401, 'expired');
    expect(tokens(world)).toEqual(['t1', 't2']);
    expect(world.report?.connection).toBe('connecting');
    await world.drop(4401, 'expired');
    expect(world.report).toMatchObject({ connection: 'needs-token', reason: 'expired' });
    expect(await pauseOf(world)).toBe(550);
    expect(world.report?.connection).toBe('needs-token');
    await world.welcomed();
    expect(world.report?.connection).toBe('online');
    await world.drop(4401, 'expired');
    expect(world.report?.connection).toBe('connecting'); // it has worked: nobody has to be told
    expect(await pauseOf(world)).toBe(550); // not at once: fresh tokens work only for a moment
  });

  test.each([12, 20, 29])(
    '[C6] with tokens that live for %i s nobody is told that one is needed',
    async (lives) => {
      const world = await new ConnectionWorld(counted()).online();
      for (let n = 0; n < 10; n++) {
        await world.pass(lives * 1_000);
        await world.drop(4401, 'expired');
        expect(world.report?.connection).toBe('connecting');
        await world.welcomed();
      }
      expect(tokens(world)).toHaveLength(11);
      expect(world.reports.map(({ connection }) => connection)).not.toContain('needs-token');
    },
  );

  test.each([1, 2, 7])(
    '[C11] a token has worked that brought a part of a backlog, %i times',
    async (times) => {
      const world = new ConnectionWorld(counted());
      for (let n = 0; n < 40; n++) world.source.create('notes', `n${n}`, { text: 'x'.repeat(60_000) });
      await world.started();
      for (let n = 0; n < times; n++) {
        const { last } = world.sockets;
        last.welcomes();
        await settle();
        last.answers(last.checkpoints[0] ?? -1);
        await settle();
        await world.pass(20_000);
        await world.drop(4401, 'expired');
        await settle();
      }
      expect(tokens(world)).toHaveLength(times + 1);
      expect(world.reports.map(({ connection }) => connection)).not.toContain('needs-token');
    },
  );

  test('tokens that work only for a moment make no loop', async () => {
    const world = await new ConnectionWorld(counted()).online();
    for (let passed = 0; passed < 10_000; passed += 100) {
      const { last } = world.sockets;
      await world.drop(4401, 'expired');
      await world.pass(100);
      if (world.sockets.last !== last) await world.welcomed();
    }
    expect(tokens(world).length).toBeLessThan(30);
  });

  test('retryNow() tries at once with the new token', async () => {
    const world = await new ConnectionWorld(counted()).started();
    await world.drop(4401);
    await world.drop(4401);
    world.connection.retryNow();
    world.connection.retryNow();
    await settle();
    expect(tokens(world)).toEqual(['t1', 't2', 't3']);
    expect(world.report?.connection).toBe('connecting');
  });

  const STOPS = [
    [4401, 'needs-token'],
    [4403, 'refused'],
  ] as const;
  const WAYS: Readonly<Record<string, (world: ConnectionWorld) => unknown>> = {
    'start()': (world) => world.connection.start(),
    'retryNow()': (world) => world.connection.retryNow(),
    'flush()': (world) => void world.connection.flush().catch(() => {}),
    'the network comes back': (world) => world.hint('online'),
    'the app is looked at': (world) => world.hint('foreground'),
    'five minutes': (world) => world.pass(300_000),
  };

  test.each(STOPS)('[C10] after %i it rests, and says so until it is let in', async (code, connection) => {
    const world = await new ConnectionWorld().started();
    await world.drop(code, 'not so');
    await world.pass(299_000);
    expect(sockets(world)).toBe(1);
    await world.pass(1_000);
    expect(sockets(world)).toBe(2);
    expect(world.report).toMatchObject({ connection, reason: 'not so' });
    await world.welcomed();
    expect(world.report).toMatchObject({ connection: 'online', reason: null });
  });

  test.each(STOPS.flatMap(([code]) => Object.keys(WAYS).map((way) => [code, way] as const)))(
    '[C10] after %i, %s makes it try again',
    async (code, way) => {
      const world = await new ConnectionWorld().started();
      await world.drop(code, 'not so');
      await WAYS[way]?.(world);
      await settle();
      expect(sockets(world)).toBe(2);
    },
  );

  test('[P7] what was erased is tried again when the app says so, and not before', async () => {
    const world = await new ConnectionWorld(counted()).started();
    await world.drop(4410, 'erased');
    await world.pass(600_000);
    world.hint('foreground');
    await settle();
    expect(world.report).toMatchObject({ connection: 'refused', error: { code: 'ERASED' } });
    expect(sockets(world)).toBe(1);
    world.connection.retryNow();
    await settle();
    expect(sockets(world)).toBe(2);
  });

  test.each([1007, 1008, 1009, 1013, 4401, 4403, 4410, 4999])(
    '[C10] %i of something on the way is as any lost connection',
    async (code) => {
      const world = await new ConnectionWorld(counted()).started();
      world.sockets.last.isForeign = true;
      world.sockets.last.open();
      await world.drop(code, 'Gone for good.');
      expect(world.report).toMatchObject({ connection: 'offline', error: null });
      await world.pass(2_000);
      expect(sockets(world)).toBe(2);
      await world.welcomed();
      expect(world.report?.connection).toBe('online');
    },
  );

  test('[C10] the word of another connection proves nothing', async () => {
    const world = await new ConnectionWorld(counted()).started();
    const { last } = world.sockets;
    last.isForeign = true;
    last.says(messages.proof('challenge-0'));
    await world.drop(4410);
    expect(world.report).toMatchObject({ connection: 'offline', error: null });
  });

  test('a getToken that throws or hangs is a failed attempt', async () => {
    const failing = await new ConnectionWorld({
      getToken: () => Promise.reject(new Error('signed out')),
    }).started();
    expect(failing.report?.reason).toContain('signed out');
    const hanging = await new ConnectionWorld({ getToken: () => new Promise(() => {}) }).started();
    await hanging.pass(10_000);
    expect(hanging.report).toMatchObject({ connection: 'offline' });
    expect(hanging.report?.reason).toContain('getToken() did not answer in time.');
  });

  test('a token that comes after stop() opens nothing', async () => {
    let give = (_: string): void => {};
    const getToken = (): Promise<string> =>
      new Promise((resolve) => {
        give = resolve;
      });
    const world = await new ConnectionWorld({ getToken }).started();
    world.connection.stop();
    give('late');
    await settle();
    expect(sockets(world)).toBe(0);
  });
});
