/** HTTP connections that are kept between two requests, as balancers keep them (O1, O4). */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readConfig } from '../../server/config.js';
import { makePair, withOpenssl } from '../support/certificate.js';
import type { TestServer } from '../support/server.js';
import { useServer } from '../support/use.js';
import { PATIENCE, Watched } from '../support/wait.js';

type Options = Readonly<Record<string, string>>;

/** One connection, as a balancer uses it. */
class Kept {
  readonly socket: Socket;
  text = '';
  #asked = 0;
  /** When it was closed, and when the last answer had come. */
  closedAt: number | null = null;
  answeredAt = 0;
  readonly #events = new Watched();

  constructor(socket: Socket) {
    this.socket = socket;
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {});
    socket.on('data', (data) => {
      this.text += data;
      this.answeredAt = performance.now();
      this.#events.changed();
    });
    socket.on('close', () => {
      this.closedAt = performance.now();
      this.#events.changed();
    });
  }

  async ask(): Promise<void> {
    this.socket.write('GET /health HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n');
    const answers = ++this.#asked;
    await this.#events.until(
      () => this.text.split('{"status":"up"}').length > answers,
      () => `answer ${answers}`,
    );
  }

  /** Resolves with how long it was open after the last answer, in ms. */
  end(): Promise<number> {
    return this.#events.until(
      () => this.closedAt !== null && this.closedAt - this.answeredAt,
      () => 'the end of a kept connection',
      PATIENCE,
    );
  }
}

async function keep({ port }: TestServer, isSecure: boolean): Promise<Kept> {
  const to = { port, host: '127.0.0.1', rejectUnauthorized: false };
  const socket = isSecure ? connectTls(to) : connect(to);
  await once(socket, isSecure ? 'secureConnect' : 'connect');
  return new Kept(socket);
}

async function useEither(isSecure: boolean, options: Options): Promise<TestServer> {
  if (!isSecure) return useServer(options);
  const folder = await mkdtemp(join(tmpdir(), 'tls-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const { cert, key } = makePair(folder, 'kept');
  return useServer({ ...options, TLS_CERT: cert, TLS_KEY: key });
}

describe.each([
  ['http', false, test],
  ['https', true, withOpenssl],
] as const)('[O1] KEEP_ALIVE_TIMEOUT over %s', (_, isSecure, run) => {
  run('by default a connection outlives the 60 s of a balancer, and says so', async () => {
    const kept = await keep(await useEither(isSecure, {}), isSecure);
    await kept.ask();
    expect(kept.text).toMatch(/^Keep-Alive: timeout=75\r$/m);
  });

  run(
    'a kept connection is not one that is late with its headers, and ends when its time is over',
    async () => {
      const server = await useEither(isSecure, { KEEP_ALIVE_TIMEOUT: '4s', HEADERS_TIMEOUT: '300ms' });
      const [kept, idle, silent] = [
        await keep(server, isSecure),
        await keep(server, isSecure),
        await keep(server, isSecure),
      ];
      await Promise.all([kept.ask(), idle.ask()]);
      await silent.end(); // HEADERS_TIMEOUT is over
      await kept.ask();
      expect(await idle.end()).toBeGreaterThan(3_500);
    },
  );

  run(
    '[O4] kept connections, and one that is in the middle of its headers, do not hold up the end',
    async () => {
      const server = await useEither(isSecure, { KEEP_ALIVE_TIMEOUT: '0', HEADERS_TIMEOUT: '0' });
      const all = [await keep(server, isSecure), await keep(server, isSecure)];
      for (const kept of all) await kept.ask();
      all[1]?.socket.write('GET /health HTTP/1.1\r\nHo');
      const began = performance.now();
      await server.app.close();
      await Promise.all(all.map((kept) => kept.end()));
      expect(performance.now() - began).toBeLessThan(5_000);
    },
  );
});

test.each([
  ['', 75_000],
  ['500ms', 500],
  ['10m', 600_000],
])('[O1] KEEP_ALIVE_TIMEOUT=%s is %i ms', (value, ms) => {
  expect(readConfig({ KEEP_ALIVE_TIMEOUT: value }).keepAliveTimeout).toBe(ms);
});

test('[S4] MAX_SOCKETS_PER_USER: eight devices of three connections each, and some tabs, find a place', () => {
  expect(readConfig({}).maxSocketsPerUser).toBe(60);
});
