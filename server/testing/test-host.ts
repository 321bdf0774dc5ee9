/** One server for tests, real but for its disk, and the devices' ends of its sockets. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import type { UserId } from '../../shared/names.js';
import type { FromHost, HostAsk, HostResponse, ToHost } from '../../shared/test-host.js';
import { type App, createApp } from '../app.js';
import { type Config, readConfig } from '../config.js';
import { silentLog } from '../log.js';
import { copyOf, MemoryStore } from '../store/memory/memory-store.js';
import { HostSockets } from './host-sockets.js';

interface Running {
  readonly app: App;
  readonly store: MemoryStore;
  readonly origin: string;
}

export class TestHost {
  readonly #port: MessagePort;
  readonly #sockets: HostSockets;
  #config: Config | null = null;
  #folder: string | null = null;
  #running: Running | null = null;
  #now = 0;
  #startedAt = 0;

  constructor(port: MessagePort) {
    this.#port = port;
    this.#sockets = new HostSockets((message) => this.#say(message));
    port.on('message', (message: ToHost) => this.#take(message));
  }

  #say(message: FromHost): void {
    this.#port.postMessage(message);
  }

  #take(message: ToHost): void {
    this.#now = message.now;
    if ('call' in message) void this.#answer(message.call, message.ask);
    else if ('socket' in message)
      this.#sockets.take(message.socket, message.event, this.#running?.origin ?? null);
  }

  async #answer(call: number, ask: HostAsk): Promise<void> {
    try {
      this.#say({ call, answer: await this.#do(ask) });
    } catch (error) {
      this.#say({ call, error: error instanceof Error ? error.message : String(error) });
    }
    if (ask.do === 'stop') this.#port.close();
  }

  async #do(ask: HostAsk): Promise<HostResponse | null> {
    switch (ask.do) {
      case 'start':
        await this.#begin(ask.options);
        return null;
      case 'crash':
        await this.#crash();
        return null;
      case 'quiet':
        await this.#quiet(ask.users);
        return null;
      case 'fetch':
        return this.#sockets.fetch(ask.request, this.#running?.origin ?? null);
      case 'stop':
        await this.#stop();
        return null;
    }
  }

  async #begin(options: Readonly<Record<string, string>>): Promise<void> {
    this.#startedAt = this.#now;
    this.#folder = await mkdtemp(join(tmpdir(), 'telemed-sync-test-'));
    // No pauses that only real time would end.
    const defaults = { JSON_PACE: '0', SHUTDOWN_TIMEOUT: '100ms' };
    const fixed = { HOST: '127.0.0.1', PORT: '0', DATA_DIR: join(this.#folder, 'data') };
    this.#config = readConfig({ ...defaults, ...options, ...fixed });
    await this.#start(new MemoryStore());
  }

  async #start(store: MemoryStore): Promise<void> {
    if (this.#config === null) throw new Error('The server of this test was never started.');
    // Rates are counted by it: it goes on by itself, too.
    const uptime = (): number => this.#now - this.#startedAt + performance.now();
    const app = await createApp(this.#config, silentLog, {
      store,
      time: { now: () => this.#now, uptime },
    });
    const origin = `127.0.0.1:${await app.listen()}`;
    this.#running = { app, store, origin };
  }

  /** What the old server does after this moment reaches neither the disk of the new one nor a device. */
  async #crash(): Promise<void> {
    const crashed = this.#running;
    if (crashed === null) return;
    this.#running = null;
    const disk = copyOf(crashed.store.contents);
    this.#sockets.tear();
    await crashed.app.close();
    await this.#start(new MemoryStore(disk));
  }

  async #quiet(users: readonly string[]): Promise<void> {
    await this.#sockets.allClosed();
    if (this.#running === null) return;
    const { app, store } = this.#running;
    await app.idle();
    // It answers once what was handed over before is on the disk.
    for (const user of users) await store.former(user as UserId);
  }

  async #stop(): Promise<void> {
    this.#sockets.tear();
    await this.#running?.app.close();
    this.#running = null;
    if (this.#folder !== null) await rm(this.#folder, { recursive: true, force: true });
  }
}
