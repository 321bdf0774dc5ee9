/** `telemed-sync health`: asks the server that runs with these options, for the health check of a container. */
import { get as getPlain } from 'node:http';
import { get as getSecure } from 'node:https';
import { readConfig } from '../config.js';
import { type Call, type Command, done, noMoreThan, type Outcome, UsageError } from './command.js';

const PATIENCE = 4_000; // ms; the image gives it 5 s
const ANY: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** Resolves with the answer's status and body. */
function ask(address: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const get = address.startsWith('https:') ? getSecure : getPlain;
    // The certificate is for the name that devices use, not for this address; nothing secret is sent.
    const request = get(address, { rejectUnauthorized: false, timeout: PATIENCE }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${PATIENCE} ms`)));
    request.on('error', reject);
  });
}

function addressOf(call: Call): string {
  const { host, port, tlsCert } = readConfig({ ...call.env, NODE_ENV: 'development' });
  if (port === 0) throw new UsageError('PORT is 0, so that nobody knows which one the server took.');
  const name = ANY[host] ?? host;
  const inUrl = name.includes(':') ? `[${name}]` : name;
  const path = call.values.ready === true ? '/ready' : '/health';
  return `${tlsCert === '' ? 'http' : 'https'}://${inUrl}:${port}${path}`;
}

async function run(call: Call): Promise<Outcome> {
  noMoreThan(0, call);
  const address = addressOf(call);
  try {
    const { status, body } = await ask(address);
    const said = `${address} answers ${status}: ${body}`;
    return status === 200 ? done(said, { address, status }) : { code: 1, said, data: { address, status } };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { code: 1, said: `${address} does not answer: ${reason}`, data: { address, status: null } };
  }
}

export const health: Command = {
  name: 'health',
  summary: 'asks the server on this machine whether it works',
  usage: ['health', 'health --ready'],
  details: () =>
    'It asks at PORT and HOST, by https where TLS_CERT is set. Exit code 0: it answers; 1: it does not, or with --ready not with 200 at /ready.',
  options: { ready: { type: 'boolean' } },
  run,
};
