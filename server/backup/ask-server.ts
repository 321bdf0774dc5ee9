/** Asks the server that runs, which alone can read its database. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ClientRequest, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import type { Config } from '../config.js';
import { SyncError } from '../errors.js';

type Place = Pick<Config, 'host' | 'port' | 'tlsCert' | 'adminToken'>;

const failed = (sentence: string, cause?: unknown): SyncError =>
  new SyncError('BACKUP_FAILED', sentence, { cause });

/** What it answers to this POST, parsed. */
export async function askServer(place: Place, path: string, body: unknown): Promise<unknown> {
  const socket = await connected(place);
  try {
    const asked = request({
      createConnection: () => socket,
      method: 'POST',
      path,
      headers: {
        Host: 'localhost',
        'Content-Type': 'application/json',
        ...(place.adminToken === '' ? {} : { Authorization: `Bearer ${place.adminToken}` }),
      },
    });
    return await answerOf(asked, JSON.stringify(body));
  } finally {
    socket.destroy();
  }
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

async function answerOf(asked: ClientRequest, body: string): Promise<unknown> {
  const answered = new Promise<string>((resolve, reject) => {
    asked.once('error', reject);
    asked.once('response', (response) => {
      text(response).then((said) => {
        if (response.statusCode === 200) resolve(said);
        else reject(failed(sentenceOf(response.statusCode ?? 0, said)));
      }, reject);
    });
  });
  asked.end(body);
  const said = await answered.catch((cause: Error) => {
    throw cause instanceof SyncError ? cause : failed(`The server broke off (${cause.message}).`, cause);
  });
  return JSON.parse(said);
}

function sentenceOf(status: number, said: string): string {
  if (status === 401) return 'The server refuses the token: set ADMIN_TOKEN as it has it.';
  if (status === 404 || status === 403)
    return 'The server takes no orders without ADMIN_TOKEN: set it for both, or stop the server.';
  const message = /"message":"((?:[^"\\]|\\.)*)"/.exec(said)?.[1];
  return message === undefined ? `The server answered ${status}.` : String(JSON.parse(`"${message}"`));
}
