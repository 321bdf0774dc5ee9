/** The stream that tells the admin page how the server does, where a page reads slowly (A0). */
import { pbkdf2 } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { statfs } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, onTestFinished, test, vi } from 'vitest';
import { useServer } from '../../../support/use.js';

const ADMIN_TOKEN = 'the-admin-token-of-the-tests';
const CHANNEL = 'http.server.request.start';

/** The answer that the server makes to a request for this path, from its begin on. */
function useAnswerTo(path: string): Promise<ServerResponse> {
  return new Promise((resolve) => {
    const look = (message: unknown) => {
      const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
      if (request.url === path) resolve(response);
    };
    subscribe(CHANNEL, look);
    onTestFinished(() => void unsubscribe(CHANNEL, look));
  });
}

/** For a moment, nothing that is asked of the disk is answered: all threads for it have work. */
const keepDiskBusy = (): Promise<unknown> =>
  Promise.all(Array.from({ length: 8 }, () => promisify(pbkdf2)('a', 'b', 40_000, 32, 'sha256')));

test('[A0] nothing is written to a page that reads slowly once a sign-out has ended its stream', async () => {
  const server = await useServer({ ADMIN_TOKEN });
  const api = `${server.url}/admin/api`;
  const body = JSON.stringify({ token: ADMIN_TOKEN });
  const signed = await fetch(`${api}/sign-in`, { method: 'POST', body });
  const cookie = (signed.headers.get('Set-Cookie') ?? '').split(';')[0] ?? '';
  const errors: unknown[] = [];
  const [answering, signingOut] = ['live', 'sign-out'].map((name) => useAnswerTo(`/admin/api/${name}`));
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }); // the stream's own, every 2 s
  onTestFinished(() => void vi.useRealTimers());
  const busy = keepDiskBusy();
  const page = connect(server.port, '127.0.0.1');
  page.pause();
  page.write(`GET /admin/api/live HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\n\r\n`);
  const answer = await answering;
  answer?.on('error', (error) => errors.push(error));
  while (!answer?.headersSent) await setImmediate();
  answer.write(Buffer.alloc(2 ** 26)); // more than any socket takes: it stays undrained
  const out = fetch(`${api}/sign-out`, { method: 'POST', headers: { cookie } });
  await signingOut;
  await setImmediate();
  vi.advanceTimersByTime(2_000); // while the overview is put together, which asks the disk
  expect([answer.writableEnded, answer.destroyed]).toEqual([true, false]);
  await busy;
  await statfs(server.folder); // behind what the overview has asked
  await setImmediate();
  expect(answer.destroyed).toBe(false);
  page.destroy();
  expect((await out).status).toBe(204);
  expect(errors).toEqual([]);
});
