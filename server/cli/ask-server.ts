/** Asks the server that runs, which alone can read its database. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { json, text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import type { Config } from '../config.js';

type Place = Pick<Config, 'host' | 'port' | 'tlsCert' | 'adminToken'>;

interface Order {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
}

const failed = (sentence: string, cause?: unknown): Error => new Error(sentence, { cause });

/** What it answers to this POST, parsed. */
export async function askServer(place: Place, path: string, body: unknown): Promise<unknown> {
  return await json(await answerOf(place, { method: 'POST', path, body })).catch(brokenOff);
}

/** Its answer, once that has begun and is a good one; the caller reads on. */
export async function answerOf(place: Place, { method, path, body }: Order): Promise<IncomingMessage> {
  const socket = await connected(place);
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const asked = request({
        createConnection: () => socket,
        method,
        path,
        headers: {
          Host: 'localhost',
          'Content-Type': 'application/json',
          ...(place.adminToken === '' ? {} : { Authorization: `Bearer ${place.adminToken}` }),
        },
      });
      asked.once('error', reject).once('response', resolve);
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    }).catch(brokenOff);
    const status = response.statusCode ?? 0;
    if (status !== 200 && status !== 204) throw failed(sentenceOf(status, await text(response)));
    return response.once('close', () => socket.destroy());
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function brokenOff(cause: Error): never {
  throw failed(`The server broke off (${cause.message}).`, cause);
}

const HERE: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** The port may be another program's by now: with TLS, it gets the token only where it shows our certificate. */
function connected({ host, port, tlsCert }: Place): Promise<Socket> {
  const to = { host: HERE[host] ?? host, port };
  return new Promise((resolve, reject) => {
    const refuse = (cause: Error) =>
      reject(
        failed(
          `The server can't be reached at ${to.host}:${port} (${cause.message}): set HOST and PORT as it has them.`,
          cause,
        ),
      );
    if (tlsCert === '') {
      const plain = connect(to, () => resolve(plain)).once('error', refuse);
      return;
    }
    const ours = new X509Certificate(readFileSync(tlsCert));
    const secure = connectTls({ ...to, rejectUnauthorized: false }, () => {
      if (secure.getPeerX509Certificate()?.fingerprint256 === ours.fingerprint256) return resolve(secure);
      secure.destroy();
      refuse(new Error('it shows another certificate than TLS_CERT'));
    }).once('error', refuse);
  });
}

function sentenceOf(status: number, said: string): string {
  if (status === 401) return 'The server refuses the token: set ADMIN_TOKEN as it has it.';
  if (status === 404 || status === 403)
    return 'The server takes no orders without ADMIN_TOKEN: set it for both, or stop the server.';
  const message = /"message":"((?:[^"\\]|\\.)*)"/.exec(said)?.[1];
  return message === undefined ? `The server answered ${status}.` : String(JSON.parse(`"${message}"`));
}
