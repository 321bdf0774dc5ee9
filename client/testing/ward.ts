/** A server, its devices, and what a test does to the network and the clock between them. */
import type { SyncClient } from '../api/api.js';
import { ClientError } from '../errors.js';
import { memoryStorage } from '../local-store/memory.js';
import { newIdFrom, seededRandom } from './chance.js';
import { DeviceNetwork, WARD_URL } from './device-network.js';
import { HostLink } from './host-link.js';
import { type JsonDevice, WardJsonDevice } from './json-device.js';
import { NativeDevice } from './native-device.js';
import { type Duration, milliseconds, WardClock } from './ward-clock.js';

export interface TestWardOptions {
  /** Names of the devices, or how many: `phone`, `tablet`, `desk`, `device-4` and so on. Default: 1. */
  readonly devices?: number | readonly string[];
  /** Whose records they are, where a device is not given another user. Default: `anna`. */
  readonly user?: string;
  /** What all chance in it comes from: ids of records, pauses. Default: 1. */
  readonly seed?: number;
  /** The time at the start, in ms since 1970. Default: the 6th of January 2025, 8:00 UTC. */
  readonly start?: number;
  /** Options of the server, under the names that they have in the environment: `{ MAX_DOCUMENT: '100 KB' }`. */
  readonly server?: Readonly<Record<string, string>>;
  /** `sharedCollections` of each device; the server shares them. */
  readonly sharedCollections?: readonly string[];
}

export interface DeviceOptions {
  /** Default: that of the ward. */
  readonly user?: string;
}

export interface HttpRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
}

export interface HttpAnswer {
  readonly status: number;
  /** The body, where it is JSON; otherwise its text. */
  readonly body: unknown;
}

export interface TestClock {
  /** ms since 1970. */
  now(): number;
  /**
   * Lets time pass at once, for the server and all devices, as if they had slept meanwhile: timers that came due run
   * once. Connections that outlived it are made anew.
   *
   * @example await ward.clock.advance('3d');
   */
  advance(duration: Duration): Promise<void>;
}

type Device = NativeDevice | WardJsonDevice;

const NAMES = ['phone', 'tablet', 'desk'];
const START = Date.UTC(2025, 0, 6, 8);
/** More than any chain of corrections takes. */
const MOST_ROUNDS = 20;

export class TestWard {
  readonly clock: TestClock;
  readonly #options: TestWardOptions;
  readonly #clock: WardClock;
  readonly #host: HostLink;
  readonly #random: () => number;
  readonly #devices = new Map<string, Device>();
  #isClosed = false;

  private constructor(options: TestWardOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed ?? 1);
    this.#clock = new WardClock(options.start ?? START);
    this.#host = new HostLink(this.#clock.now);
    this.clock = { now: this.#clock.now, advance: (duration) => this.#advance(milliseconds(duration)) };
  }

  /** See `createTestWard`. */
  static async open(options: TestWardOptions): Promise<TestWard> {
    const names = namesOf(options.devices ?? 1);
    const ward = new TestWard(options);
    const { server = {}, sharedCollections = [] } = options;
    const shared = sharedCollections.length > 0 ? { SHARED_COLLECTIONS: sharedCollections.join() } : {};
    try {
      await ward.#host.ask({ do: 'start', options: { ...shared, ...server } });
      for (const name of names) ward.device(name);
      await ward.settled();
    } catch (error) {
      await ward.close();
      throw error;
    }
    return ward;
  }

  /**
   * The client of a device, the same as apps have it; a device that isn't there yet joins with nothing stored. Calls
   * may follow at once; what other devices wrote is there after `settled()`.
   *
   * @throws ClientError `INVALID_OPTIONS` where a JSON device has the name, or the ward is closed
   * @example const phone = ward.device('phone');
   */
  device(name: string, { user = this.#user }: DeviceOptions = {}): SyncClient {
    const device = this.#devices.get(name) ?? this.#join(this.#native(name, user));
    if (device instanceof NativeDevice) return device.client;
    throw new ClientError('INVALID_OPTIONS', `${name} speaks JSON: it is ward.jsonDevice('${name}').`);
  }

  /**
   * A device that speaks JSON, as those do that are older than this client; one that isn't there yet joins.
   *
   * @throws ClientError `INVALID_OPTIONS` where another device has the name, or the ward is closed
   * @example ward.jsonDevice('old-tablet').write('appointments', { id: 'a1', status: 'booked' });
   */
  jsonDevice(name: string, { user = this.#user }: DeviceOptions = {}): JsonDevice {
    const device =
      this.#devices.get(name) ??
      this.#join(new WardJsonDevice(name, user, new DeviceNetwork(this.#host), this.#clock));
    if (device instanceof NativeDevice)
      throw new ClientError('INVALID_OPTIONS', `${name} is no JSON device: it is ward.device('${name}').`);
    device.connect();
    return device;
  }

  /**
   * Takes the network from devices, all of them where none is named. What they had sent arrives; no answer does.
   *
   * @throws ClientError `NOT_FOUND` where there is no such device
   */
  cut(...names: readonly string[]): void {
    for (const { network } of this.#named(names)) network.cut();
  }

  /** Gives the network back to devices, all of them where none is named; they connect at once. */
  mend(...names: readonly string[]): void {
    for (const device of this.#named(names)) {
      device.network.mend();
      void device.round();
    }
  }

  /**
   * Ends the server as a power cut does, and starts it again on what had reached its disk. Resolves when it runs;
   * devices come back by themselves.
   */
  async crash(): Promise<void> {
    await this.#host.ask({ do: 'crash' });
    for (const device of this.#devices.values()) void device.round();
  }

  /** Ends the app of a device and starts it again, on what the device had stored: `ward.device(name)` is another client then. */
  async restart(name: string): Promise<SyncClient> {
    const [device] = this.#named([name]);
    if (device instanceof NativeDevice) await device.restart();
    return this.device(name);
  }

  /**
   * Resolves when nothing is under way any more: what every device that has the network wrote is on the server's disk,
   * and what the server has is on these devices. Time stands still meanwhile.
   *
   * @throws Error that names the devices which don't come to rest
   */
  async settled(): Promise<void> {
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const wasQuiet = await this.#round();
      if (wasQuiet && this.#restless().length === 0) return;
    }
    const restless = this.#restless().map(({ name }) => name);
    throw new Error(`The ward does not come to rest: ${restless.join(', ')} can't sync.`);
  }

  /**
   * Asks the server over HTTP, as a service of the app would. Rejects while the server is down.
   *
   * @example
   * const { body } = await ward.request('/api/history/anna'); // { entries: [{ deviceId: 'phone', before, after, … }] }
   */
  async request(path: string, { method = 'GET', headers = {}, body }: HttpRequest = {}): Promise<HttpAnswer> {
    const sent = body === undefined ? null : new TextEncoder().encode(JSON.stringify(body));
    const typed = { ...(sent !== null && { 'Content-Type': 'application/json' }), ...headers };
    const answer = await this.#host.ask({
      do: 'fetch',
      request: { path, method, headers: typed, body: sent },
    });
    return { status: answer?.status ?? 0, body: parsed(new TextDecoder().decode(answer?.body)) };
  }

  /** Ends everything; to be called at the end of each test, or the process goes on. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.all([...this.#devices.values()].map((device) => device.close()));
    await this.#host.ask({ do: 'stop' }).catch(() => {});
    this.#host.close();
  }

  get #user(): string {
    return this.#options.user ?? 'anna';
  }

  #native(name: string, user: string): NativeDevice {
    const random = seededRandom(Math.floor(this.#random() * 2 ** 32));
    const newId = newIdFrom(this.#clock.now, random);
    const network = new DeviceNetwork(this.#host);
    const parts = { network, clock: this.#clock, storage: memoryStorage(), random, newId };
    const { sharedCollections = [] } = this.#options;
    const options = { serverUrl: WARD_URL, userId: user, deviceId: name, sharedCollections };
    return new NativeDevice(name, options, parts);
  }

  #join<Joins extends Device>(device: Joins): Joins {
    if (this.#isClosed) throw new ClientError('INVALID_OPTIONS', 'This ward is closed: create another one.');
    this.#devices.set(device.name, device);
    return device;
  }

  #named(names: readonly string[]): Device[] {
    if (names.length === 0) return [...this.#devices.values()];
    return names.map((name) => {
      const device = this.#devices.get(name);
      if (device !== undefined) return device;
      const all = [...this.#devices.keys()].join(', ');
      throw new ClientError('NOT_FOUND', `There is no device ${name} in this ward, which has ${all}.`);
    });
  }

  /** Whether nothing was under way when it began; what was is there afterwards. */
  async #round(): Promise<boolean> {
    const devices = [...this.#devices.values()];
    await this.#host.ask({ do: 'quiet', users: [...new Set(devices.map(({ user }) => user))] });
    const wasQuiet = this.#restless().length === 0;
    await Promise.all(devices.map((device) => device.round()));
    return wasQuiet;
  }

  #restless(): Device[] {
    return [...this.#devices.values()].filter(({ isQuiet }) => !isQuiet);
  }

  /** What is under way arrives at the time at which it was sent. */
  async #advance(ms: number): Promise<void> {
    await this.#round();
    this.#clock.jump(ms);
    this.#host.tellTime();
    for (const { network } of this.#devices.values()) if (!network.isCut) network.wake();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function namesOf(devices: number | readonly string[]): readonly string[] {
  if (typeof devices !== 'number') return devices;
  return Array.from({ length: devices }, (_, i) => NAMES[i] ?? `device-${i + 1}`);
}
