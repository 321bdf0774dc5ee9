/** The built server as a process: how it starts, what it logs, how it stops (O1, O2, O4). */
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import WebSocket from 'ws';
import { run } from '../../server/cli/commands.js';
import { collectingLog } from '../../server/log.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import { ObservedStore } from '../support/observed-store.js';
import { ServerProcess } from '../support/server-process.js';
import { bearer, JWT, tokenFor } from '../support/tokens.js';
import { openJson, useJson, useNative, useRaw, useServer } from '../support/use.js';

async function useProcess(options: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  const server = await ServerProcess.start(options);
  onTestFinished(() => server.dispose());
  return server;
}

describe('[A1] access at the start', () => {
  test('production without AUTH, and a token mode without a key, end with a sentence', async () => {
    await expect(ServerProcess.start({ NODE_ENV: 'production' })).rejects.toThrow(
      /AUTH must be set in production/,
    );
    await expect(ServerProcess.start({ AUTH: 'jwt' })).rejects.toThrow(
      /Cannot start: AUTH=jwt needs one of JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS_URL; none is set/,
    );
    const short = ServerProcess.start({ AUTH: 'jwt', JWT_SECRET: 'hush' });
    await expect(short).rejects.toThrow(/JWT_SECRET has 4 bytes/);
    await expect(short).rejects.not.toThrow(/hush/);
  });

  test('[O1] a folder that nobody can make ends with a sentence; a misspelt option is warned of', async () => {
    for (const option of ['DATA_DIR', 'ACCESS_DIR']) {
      const start = ServerProcess.start({ ...JWT, [option]: '/proc/x' });
      await expect(start).rejects.toThrow(/Cannot start: Can't make the folder \/proc\/x/);
    }
    // Where not even root may make a file.
    const unwritable = ServerProcess.start({ ...JWT, ACCESS_DIR: '/sys' });
    await expect(unwritable).rejects.toThrow(/Can't (write|make) the (file|folder) \/sys.*ACCESS_DIR/);
    const server = await useProcess({ DATADIR: '/srv' });
    expect(server.lines.filter((line) => line.includes('did you mean DATA_DIR'))).toHaveLength(1);
  });

  test('AUTH=none is warned of at each start; with tokens, the start tells where the audit trail stands', async () => {
    const open = await useProcess();
    expect(open.lines.filter((line) => line.startsWith('⚠️ AUTH=none'))).toHaveLength(1);
    const shut = await useProcess({ ...JWT, NODE_ENV: 'production', LOG_FORMAT: 'human' });
    expect(shut.lines.filter((line) => line.includes('AUTH=none'))).toEqual([]);
    const access = [{ user: 'anna', mode: 'read' as const }];
    const headers = bearer(await tokenFor('doctor', { access }));
    expect((await fetch(`${shut.url}/api/sync/anna`, { headers })).status).toBe(200);
    await shut.kill();
    await shut.restart();
    const [before, after] = shut.lines.filter((line) => line.startsWith('📋 Audit trail'));
    expect(before).toContain('0 lines');
    expect(after).toContain('1 lines');
    const told = await run(['audit', 'verify'], { DATA_DIR: shut.folder });
    expect(told).toMatchObject({ code: 0, out: expect.stringContaining(after?.split(' ').at(-1) ?? '?') });
  });
});

describe('[O4] SIGTERM', () => {
  test('everything received is durable, sockets close with 1012, the process ends with 0 within 10 s', async () => {
    const server = await useProcess();
    const tablet = await useJson(server, 'anna', 'tablet');
    const phone = await useNative(server, 'anna', 'phone');
    const idle = await useRaw(server, 'bert', 'idle');
    const kept = await fetch(`${server.url}/health`); // its connection is kept open by the client
    await kept.text();
    for (let i = 0; i < 100; i++) phone.record('phoned', `p${i}`).set('i', i);
    await phone.saved();
    for (let i = 0; i < 1_000; i++) tablet.update('notes', { id: `n${i}`, i }, { ack: `${i}` });
    await tablet.heard();
    const began = Date.now();
    const { code, signal } = await server.stop();
    expect([code, signal]).toEqual([0, null]);
    expect(Date.now() - began).toBeLessThan(10_000);
    expect((await tablet.end()).code).toBe(1012);
    expect((await idle.end()).code).toBe(1012);
    await phone.until(() => phone.closes.includes(1012));
    expect(tablet.of('ACK')).toHaveLength(1_000);
    const begun = server.lines.indexOf('🛑 SIGTERM: making everything durable');
    expect(begun).toBeGreaterThan(0);
    expect(server.lines.slice(begun).at(-1)).toMatch(/^🏁 Stopped after \d+ ms$/);
    await server.restart();
    const again = await useJson(server, 'anna', 'tablet');
    expect(Object.values(again.store.notes ?? {}).map(({ i }) => i)).toEqual(
      Array.from({ length: 1_000 }, (_, i) => i),
    );
    expect(Object.keys(again.store.phoned ?? {})).toHaveLength(100);
    await phone.synced();
  });

  test('what is not durable yet is waited for, and only then the sockets close', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useServer({}, { store });
    const tablet = await useJson(server, 'anna', 'tablet');
    memory.hold();
    tablet.update('notes', { id: 'n1' }, { ack: 'saved' });
    await store.until(() => store.commits === 1);
    const stopping = server.app.close();
    const refused = openJson(server, 'anna', 'late');
    expect((await refused.end()).code).toBe(1006);
    await expect(fetch(`${server.url}/ready`)).rejects.toThrow();
    expect([tablet.closed, tablet.of('ACK')]).toEqual([null, []]);
    memory.release();
    expect(await stopping).toBe(true);
    expect((await tablet.end()).code).toBe(1012);
    expect(tablet.of('ACK')).toHaveLength(1);
    expect(memory.contents.get('anna' as never)?.updates).toHaveLength(1);
  });

  test('a store that takes a while to close, on a busy disk, is waited for as long as the process has', async () => {
    const store = new MemoryStore();
    const close = store.close.bind(store);
    store.close = () => new Promise((resolve) => setTimeout(() => resolve(close()), 1_500));
    const server = await useServer({}, { store });
    expect([await server.app.close(), server.app.isClosed]).toEqual([true, true]);
  });

  test('what can not be made durable in SHUTDOWN_TIMEOUT does not keep the process; it says so', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useServer({ SHUTDOWN_TIMEOUT: '100ms' }, { store });
    const tablet = await useJson(server, 'anna', 'tablet');
    memory.hold();
    tablet.update('notes', { id: 'n1' }, { ack: 'saved' });
    await store.until(() => store.commits === 1);
    expect(await server.app.close()).toBe(false);
    await tablet.end();
    expect(tablet.of('ACK')).toEqual([]);
  });
});

describe('[O2] the log', () => {
  const SECRET = 'Diagnosis-4711';

  test('has the documented lines in development, and nothing of records or tokens', async () => {
    const server = await useProcess();
    const tablet = await useJson({ url: server.url }, 'anna', 'tablet');
    const phone = await useNative(server, 'anna', 'phone', { params: { token: SECRET } });
    tablet.update('appointments', { id: 'a1', text: SECRET, [SECRET]: 1 }, { timestamp: Date.now() });
    await tablet.saved();
    await phone.until(() => phone.json().appointments?.a1);
    phone.record('appointments', 'a1').set('text', SECRET);
    phone.record('prescriptions', 'p1').set('text', SECRET);
    await phone.saved();
    phone.doc.getMap('prescriptions').delete('p1');
    phone.doc.transact(() => {
      for (let i = 0; i < 30; i++) phone.record('many', `m${i}`).set('text', SECRET);
    });
    await phone.saved();
    tablet.delete('appointments', 'a1');
    tablet.ws.send(`{"type":"DATA_UPDATE","${SECRET}`);
    tablet.update('appointments', { id: `${SECRET}\u0000` });
    await tablet.until(() => tablet.of('ERROR').length === 2);
    await tablet.saved();
    const lost = new WebSocket(`${server.url.replace('http', 'ws')}/nothing?token=${SECRET}`);
    lost.on('error', () => {});
    await server.line(/^⛔ Refused connection from \S+ to \/nothing\?token=…: 404 NOT_FOUND$/);
    const hostile = await useRaw({ url: server.url }, 'anna', 'hostile');
    hostile.send(`${SECRET}`);
    await hostile.end();
    const stranger = await useRaw({ url: server.url }, 'anna');
    await stranger.close();
    await server.line(/👋 Connection closed: User anna, Device hostile, 1007/);
    await server.line(/👋 Connection closed: User anna, Device device-/);
    for (const line of [
      /^⚠️ AUTH=none: /,
      /^🚀 Listening on http:\/\/127\.0\.0\.1:\d+, data in \//,
      /^🔌 New WebSocket connection: User anna, Device tablet$/,
      /^🔌 New WebSocket connection: User anna, Device phone$/,
      /^📤 Sent initial data to tablet: \[appointments: 0, consultations: 0, prescriptions: 0, medicalRecords: 0\]$/,
      /^📨 Received DATA_UPDATE from tablet$/,
      /^📨 Received DATA_DELETE from tablet$/,
      /^💾 Updated appointments for user anna: a1$/,
      /^💾 Updated prescriptions for user anna: p1$/,
      /^🗑️ Deleted from prescriptions for user anna: p1$/,
      /^💾 Updated for user anna from phone: \[many: 30\]$/,
      /^📤 Broadcasted update to phone$/,
      /^🗑️ Deleted from appointments for user anna: a1$/,
      /^⛔ Refused a message from tablet of user anna: INVALID_JSON \(The message is not JSON\.\)$/,
      /^⛔ Refused a message from hostile of user anna: MALFORMED_UPDATE$/,
    ]) {
      expect(
        server.lines.some((text) => line.test(text)),
        String(line),
      ).toBe(true);
    }
    expect(server.lines.join('\n')).not.toContain(SECRET);
  });

  test('has the same events as JSON lines in production', async () => {
    const server = await useProcess({ NODE_ENV: 'production', AUTH: 'none', LOG_LEVEL: 'debug' });
    const tablet = await useJson(server, 'anna', 'tablet');
    tablet.update('appointments', { id: 'a1', text: SECRET });
    await tablet.saved();
    await tablet.close();
    await server.line(/"event":"disconnected"/);
    const entries = server.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const seen = entries.map(({ event }) => event);
    expect(seen).toEqual(
      expect.arrayContaining(['authNone', 'listening', 'connected', 'initialData', 'received', 'updated']),
    );
    expect(entries.find(({ event }) => event === 'connected')).toMatchObject({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      user: 'anna',
      device: 'tablet',
      via: 'json',
    });
    expect(server.lines.join('\n')).not.toContain(SECRET);
  });

  test('leaves out the lines of single edits in production', async () => {
    const server = await useProcess({ NODE_ENV: 'production', AUTH: 'none' });
    const tablet = await useJson(server, 'anna', 'tablet');
    tablet.update('appointments', { id: 'a1' });
    await tablet.saved();
    await tablet.close();
    await server.line(/"event":"disconnected"/);
    expect(server.lines.filter((line) => line.includes('"level":"debug"'))).toEqual([]);
  });

  test('has a line of statistics each minute', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const { log, events } = collectingLog();
      const server = await useServer({ PING_INTERVAL: '0' }, { store: new MemoryStore(), log });
      const tablet = await useJson(server, 'anna', 'tablet');
      await useRaw(server, 'anna', 'phone');
      await useRaw(server, 'bert', 'phone');
      for (let i = 0; i < 3; i++) tablet.update('notes', { id: `n${i}` });
      tablet.delete('notes', 'n0');
      await tablet.saved();
      const stats = () => events.filter(({ name }) => name === 'stats').map(({ fields }) => fields);
      vi.advanceTimersByTime(59_999);
      expect(stats()).toEqual([]);
      vi.advanceTimersByTime(60_001);
      expect(stats()).toEqual([1, 2].map(() => ({ connections: 3, users: 2, entries: 2 })));
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('[H4] [N8] a request that is not answered yet, and in the same packet an upgrade', () => {
  /** All that comes back, until the server ends the connection or `isEnough`. */
  const answersTo = (port: number, path: string, isEnough: (said: string) => boolean) =>
    new Promise<string>((resolve) => {
      let said = '';
      const socket = connect(port, '127.0.0.1');
      socket.on('data', (chunk) => {
        said += chunk.toString('latin1');
        if (isEnough(said)) socket.destroy();
      });
      socket.on('error', () => {}); // 'close' follows
      socket.on('close', () => resolve(said));
      const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
      const upgrade = `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n\r\n`;
      socket.write(`GET /health HTTP/1.1\r\nHost: x\r\n\r\n${upgrade}`);
    });
  const isUp = async ({ url }: ServerProcess) => expect((await fetch(`${url}/health`)).status).toBe(200);

  test.each([
    ['without ADMIN_TOKEN', {}],
    ['with it', { ADMIN_TOKEN: 'the-admin-token-of-the-tests' }],
  ])(
    '[A0] to the page of the operator, %s: the connection ends, and the server goes on',
    async (_, options) => {
      const server = await useProcess({ ...JWT, NODE_ENV: 'production', ...options });
      for (let times = 0; times < 3; times++) {
        expect(await answersTo(server.port, '/admin/api/live', () => false)).not.toMatch(/ 101 /);
        await isUp(server);
      }
    },
  );

  test.each(['/sync?userId=anna&deviceId=phone', '/yjs/anna'])('to %s: both are answered', async (path) => {
    const server = await useProcess();
    const said = await answersTo(server.port, path, (text) => text.includes(' 101 '));
    expect(said).toMatch(/^HTTP\/1\.1 200 .*HTTP\/1\.1 101 /s);
    await isUp(server);
  });
});

describe('[O1 A1] a start that is refused', () => {
  test.each([
    [{ NODE_ENV: 'production' }, /❌ Cannot start: AUTH must be set in production/],
    [{ MAX_DEPTH: 'deep' }, /❌ Cannot start: MAX_DEPTH is "deep"/],
    [{ DATA_DIR: '/dev/null/data' }, /❌ Cannot start: .*\/dev\/null\/data/],
  ])('%j: a sentence that names the cause', async (options, sentence) => {
    await expect(ServerProcess.start(options)).rejects.toThrow(sentence);
  });

  test('a port that is taken', async () => {
    const server = await useProcess();
    await expect(ServerProcess.start({ PORT: String(server.port) })).rejects.toThrow(/is taken/);
  });
});
