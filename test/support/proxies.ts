/** The proxies of deploy/ themselves, by those files: only names, ports and certificates are those of the test. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect } from 'node:tls';
import { onTestFinished, test } from 'vitest';
import WebSocket, { type ClientOptions } from 'ws';
import type { JsonDevice } from './devices/json-device.js';
import type { NativeDevice } from './devices/native-device.js';
import { freePort } from './free-port.js';
import { openJson, openNative } from './use.js';
import { inTime, PATIENCE } from './wait.js';

const PATH = `${process.env.PATH}:/usr/sbin`;
const hasProgram = (name: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${name}`], { env: { PATH } }).status === 0;

/** Those that are started here, each by the sample for one server or the one for a cluster. */
export const PROXIES = ['nginx', 'caddy', 'haproxy'] as const;
export type ProxyName = (typeof PROXIES)[number];

const missing = [...PROXIES, 'openssl'].filter((name) => !hasProgram(name));
if (missing.length > 0 && !process.env.CI)
  process.stderr.write(`Tests of deploy/ are skipped: apt-get install ${missing.join(' ')}\n`);

/** In CI one that is missing is a failure, not a reason to skip. */
export const isMissing = (name: ProxyName): boolean =>
  missing.some((each) => each === name || each === 'openssl') && !process.env.CI;

export const withProxy = (name: ProxyName) => test.skipIf(isMissing(name));

export interface Proxy {
  /** `https://127.0.0.1:PORT` */
  readonly url: string;
  /** Of the authority that its certificate is from. */
  readonly ca: Buffer;
}

/** Replaces each text, which has to be there. */
function adapted(file: string, changes: readonly (readonly [string, string])[]): string {
  let text = readFileSync(file, 'utf8');
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

interface Room {
  readonly folder: string;
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** A self-made authority, and a certificate of it for 127.0.0.1. */
function makeCertificates(folder: string): Pick<Room, 'ca' | 'cert' | 'key'> {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...kind, '-subj', '/CN=test authority', '-keyout', 'ca.key', '-out', 'ca.crt');
  openssl('req', ...kind, '-subj', '/CN=server', '-keyout', 'server.key', '-out', 'server.csr');
  writeFileSync(join(folder, 'names'), 'subjectAltName=IP:127.0.0.1');
  const by = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names', '-days', '2'];
  openssl('x509', '-req', '-in', 'server.csr', ...by, '-out', 'server.crt');
  return {
    ca: join(folder, 'ca.crt'),
    cert: join(folder, 'server.crt'),
    key: join(folder, 'server.key'),
  };
}

async function useRoom(): Promise<Room> {
  const folder = await mkdtemp(join(tmpdir(), 'proxy-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return { folder, port: await freePort(), ...makeCertificates(folder) };
}

interface Command {
  readonly words: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

type Starting = (room: Room, ports: readonly number[]) => Command;

const START: Readonly<Record<ProxyName, Starting>> = {
  nginx(room, ports) {
    const { folder, port, cert, key } = room;
    const isOne = ports.length === 1;
    const upstreams = isOne
      ? ([['127.0.0.1:3001', `127.0.0.1:${ports[0]}`]] as const)
      : ports.map((each, n) => [`node-${n + 1}:3001`, `127.0.0.1:${each}`] as const);
    const site = adapted(isOne ? 'deploy/nginx.conf' : 'deploy/cluster/nginx.conf', [
      ['listen 443 ssl', `listen 127.0.0.1:${port} ssl`],
      ...(isOne ? ([['  listen [::]:443 ssl;\n', '']] as const) : []),
      ['/etc/letsencrypt/live/sync.example.org/fullchain.pem', cert],
      ['/etc/letsencrypt/live/sync.example.org/privkey.pem', key],
      ...upstreams,
    ]);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${folder}/${name};`,
    );
    const main = `daemon off; pid ${folder}/pid; error_log stderr; worker_processes 1;
events {}
http { ${temporary.join(' ')} ${site} }`;
    writeFileSync(join(folder, 'nginx.conf'), main);
    return { words: ['nginx', '-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'] };
  },

  /** Its certificate is from an authority that it makes itself. */
  caddy({ folder, port }, ports) {
    const isOne = ports.length === 1;
    const file = resolve(isOne ? 'deploy/Caddyfile' : 'deploy/cluster/Caddyfile');
    writeFileSync(
      join(folder, 'Caddyfile'),
      `{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\nimport ${file}\n`,
    );
    const nodes = ports.map((each) => `127.0.0.1:${each}`).join(' ');
    mkdirSync(join(folder, 'home'));
    const env = {
      HOME: join(folder, 'home'),
      XDG_DATA_HOME: join(folder, 'home'),
      XDG_CONFIG_HOME: join(folder, 'home'),
      SYNC_DOMAIN: `https://127.0.0.1:${port}`,
      [isOne ? 'SYNC_UPSTREAM' : 'SYNC_NODES']: nodes,
    };
    return { words: ['caddy', 'run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'], env };
  },

  haproxy({ folder, port, cert, key }, ports) {
    const pem = join(folder, 'both.pem');
    writeFileSync(pem, readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'));
    const text = adapted('deploy/cluster/haproxy.cfg', [
      ['maxconn 100000', 'maxconn 1000'], // what any machine gives
      ['bind :443 ssl', `bind 127.0.0.1:${port} ssl`],
      ['/etc/haproxy/sync.example.org.pem', pem],
      ...ports.map((each, n) => [`node-${n + 1}:3001`, `127.0.0.1:${each}`] as const),
    ]);
    writeFileSync(join(folder, 'haproxy.cfg'), text);
    return { words: ['haproxy', '-db', '-f', join(folder, 'haproxy.cfg')] };
  },
};

/** Before the server, or the nodes, on these ports of this machine; it takes connections once this resolves. */
export async function useProxy(name: ProxyName, ports: readonly number[]): Promise<Proxy> {
  const room = await useRoom();
  const { words, env } = START[name](room, ports);
  const [program = '', ...args] = words;
  const child = spawn(program, args, { env: { PATH, ...env }, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${name} ended:\n${said}`);
  });
  ended.catch(() => {});
  onTestFinished(async () => {
    child.kill('SIGTERM'); // SIGKILL would leave the workers of nginx
    await inTime(
      ended.catch(() => {}),
      () => `the end of ${name}`,
    ).catch(() => child.kill('SIGKILL'));
  });
  const waiting = new AbortController();
  const isThere = Promise.race([listens(room.port, waiting.signal), ended]);
  await inTime(isThere, () => `a port of ${name}`, PATIENCE).finally(() => waiting.abort());
  const authority =
    name === 'caddy' ? join(room.folder, 'home/caddy/pki/authorities/local/root.crt') : room.ca;
  return { url: `https://127.0.0.1:${room.port}`, ca: readFileSync(authority) };
}

/** Resolves once it speaks TLS, or nobody waits any more: Caddy listens before it has a certificate. */
async function listens(port: number, waiting: AbortSignal): Promise<void> {
  while (!waiting.aborted) {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    const isThere = await once(socket, 'secureConnect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isThere) return;
    await new Promise((again) => setTimeout(again, 50));
  }
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A machine that trusts the authority of the proxy, and comes from another address than the server's. */
export class Client {
  static readonly ADDRESS = '127.0.0.9';
  readonly #proxy: Proxy;
  readonly WebSocket: typeof WebSocket;
  readonly options: ClientOptions;

  constructor(proxy: Proxy) {
    const options = { ca: proxy.ca, localAddress: Client.ADDRESS };
    this.#proxy = proxy;
    this.options = options;
    this.WebSocket = class extends WebSocket {
      constructor(url: string, protocols?: string[]) {
        super(url, protocols ?? [], options);
      }
    } as typeof WebSocket;
  }

  /** The socket of the admin page. */
  get liveUrl(): string {
    return `${this.#proxy.url.replace(/^http/, 'ws')}/admin/api/live`;
  }

  native(user: string, device: string, maxBackoffTime = 100): NativeDevice {
    return openNative(this.#proxy, user, device, { WebSocketPolyfill: this.WebSocket, maxBackoffTime });
  }

  json(user: string, device: string): JsonDevice {
    return openJson(this.#proxy, user, device, this.options);
  }

  ask(path: string, { method = 'GET', headers = {}, body }: Asked = {}): Promise<Answered> {
    const { ca, localAddress } = { ca: this.#proxy.ca, localAddress: Client.ADDRESS };
    return new Promise((resolve, reject) => {
      const options = { method, headers, ca, localAddress, agent: false };
      const sent = request(this.#proxy.url + path, options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  /** As the admin page does it; resolves with its cookie. */
  async signIn(token: string): Promise<Readonly<Record<string, string>>> {
    const headers = { origin: this.#proxy.url, 'content-type': 'application/json' };
    const body = JSON.stringify({ token });
    const answer = await this.ask('/admin/api/sign-in', { method: 'POST', headers, body });
    const cookie = String(answer.headers['set-cookie']).split(';')[0] ?? '';
    return { origin: this.#proxy.url, cookie };
  }
}
