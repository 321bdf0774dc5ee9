import * as decoding from 'lib0/decoding';
import { onTestFinished } from 'vitest';
import * as Y from 'yjs';
import { DocumentRegistry, type RegistryOptions } from '../../server/documents/registry.js';
import type { Following } from '../../server/documents/sleep/followed-documents.js';
import type { YjsSessionOptions } from '../../server/gateways/yjs/options.js';
import { YjsSession } from '../../server/gateways/yjs/session.js';
import { decodeMessage, messages, type YjsMessage } from '../../server/protocol/yjs.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import type { DeviceId, UserId } from '../../shared/names.js';
import { EPOCH } from '../../shared/yjs-messages.js';
import { answerTo } from './devices/native-line.js';
import { yjsOutbox } from './devices/outbox.js';
import { user } from './notes.js';
import { ObservedStore } from './observed-store.js';
import { unnamedDoc } from './replicas.js';

export const ANNA = user('anna');
export const REST_AFTER = 30_000;

/** A registry whose documents sleep when a test says so, and native devices without sockets. */
export class SleepWorld {
  readonly inner: MemoryStore;
  readonly store: ObservedStore;
  readonly registry: DocumentRegistry;
  readonly failures: string[] = [];
  readonly devices: SleepDevice[] = [];
  #uptime = 0;

  constructor(contents?: MemoryStore['contents'], options: Partial<RegistryOptions> = {}) {
    this.inner = new MemoryStore(contents);
    this.store = new ObservedStore(this.inner);
    let id = 1_000_000;
    this.registry = new DocumentRegistry({
      store: this.store,
      idleTimeout: 30_000,
      restAfter: REST_AFTER,
      uptime: () => this.#uptime,
      maxDepth: 64,
      compactUpdates: 1_000,
      compactBytes: 1e6,
      keepFor: 86_400_000,
      historyDays: 90,
      onHistoryDamaged: () => {},
      now: () => 1_000,
      randomId: () => id++,
      onFailed: (_, { code }) => this.failures.push(code),
      onRebuilt: (_, cause) => this.failures.push(String(cause)),
      onCompacted: () => {},
      onUnexpected: (error) => this.failures.push(String(error)),
      ...options,
    });
    onTestFinished(() => this.registry.close());
  }

  /** The first device. */
  get phone(): SleepDevice {
    const [first] = this.devices;
    if (first === undefined) throw new Error('no device is connected');
    return first;
  }

  /** How often a document was loaded. */
  get loads(): number {
    return this.store.loads.length;
  }

  /** Everything that is under way arrives, and is saved; a large document is loaded in several turns. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 16; quiet++) {
      await new Promise(setImmediate);
      for (const device of this.devices) if (device.flush()) quiet = 0;
    }
  }

  /** Enough time passes for whatever may sleep; several looks, as something may have to be written before. */
  async sleep(): Promise<void> {
    for (let look = 0; look < 4; look++) {
      this.registry.sleep();
      await this.settle();
      this.#uptime += REST_AFTER;
    }
  }

  /** A document with what these devices have, asleep, with all of them connected. */
  static async asleep(...docs: Y.Doc[]): Promise<SleepWorld> {
    const world = new SleepWorld();
    for (const [index, doc] of docs.entries()) await world.connect(`phone-${index}`, doc);
    await world.sleep();
    return world;
  }

  async connect(
    name: string,
    doc: Y.Doc = unnamedDoc(),
    options: SleepDeviceOptions & { of?: UserId } = {},
  ): Promise<SleepDevice> {
    const following = await this.registry.follow(options.of ?? ANNA);
    const device = this.add(name, doc, following, options);
    await this.settle();
    return device;
  }

  /** A device that has connected, of which nothing has arrived yet. */
  add(name: string, doc: Y.Doc, following: Following, options: SleepDeviceOptions = {}): SleepDevice {
    const device = new SleepDevice(name as DeviceId, doc, following, options);
    this.devices.push(device);
    return device;
  }

  /** The store goes on with another server. */
  restarted(options: Partial<RegistryOptions> = {}): SleepWorld {
    return new SleepWorld(new Map(this.inner.contents), options);
  }
}

type SleepDeviceOptions = Partial<Pick<YjsSessionOptions, 'readOnly' | 'takesRewrites' | 'asksForEpoch'>>;

/** A plain Y.Doc with what y-websocket does around it; what is under way arrives when the test says so. */
export class SleepDevice {
  readonly got: YjsMessage[] = [];
  /** Of the message that tells what had arrived before a rewrite, and after how many others it came. */
  epoch: { readonly bytes: Uint8Array; readonly after: YjsMessage['type'][] } | null = null;
  closed: string | null = null;
  readonly doc: Y.Doc;
  readonly session: YjsSession;
  readonly #following: Following;
  #up: Uint8Array[] = [];
  #down: Uint8Array[] = [];
  #checkpoints = 0;

  constructor(name: DeviceId, doc: Y.Doc, following: Following, options: SleepDeviceOptions) {
    this.doc = doc;
    this.#following = following;
    const outbox = yjsOutbox({
      send: (bytes) => this.#down.push(bytes),
      close: ({ code }) => {
        this.closed = code;
        this.leave();
      },
    });
    const { document } = following;
    const limits = { maxPending: 256 * 1024, pendingTimeout: 30_000 };
    this.session = new YjsSession({
      document,
      device: name,
      ...options,
      outbox,
      now: () => 1_000,
      ...limits,
    });
    doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== this && this.closed === null) this.#up.push(messages.update(update));
    });
    this.#up.push(messages.syncStep1(Y.encodeStateVector(doc)));
    this.session.start();
  }

  get isAwake(): boolean {
    return this.#following.document.isAwake;
  }

  of<Type extends YjsMessage['type']>(type: Type): Extract<YjsMessage, { type: Type }>[] {
    const isOfType = (message: YjsMessage): message is Extract<YjsMessage, { type: Type }> =>
      message.type === type;
    return this.got.filter(isOfType);
  }

  set(key: string, value: unknown): void {
    this.doc.getMap('notes').set(key, value);
  }

  get notes(): unknown {
    return this.doc.getMap('notes').toJSON();
  }

  say(message: Uint8Array): void {
    this.#up.push(message);
  }

  askCheckpoint(): number {
    this.say(messages.checkpoint(++this.#checkpoints));
    return this.#checkpoints;
  }

  /** What has been sent arrives; returns whether there was anything. */
  flush(): boolean {
    const [up, down] = [this.#up, this.#down];
    if (up.length === 0 && down.length === 0) return false;
    [this.#up, this.#down] = [[], []];
    for (const message of up) if (this.closed === null) this.session.receive(message);
    for (const message of down) this.#receive(message);
    return true;
  }

  #receive(bytes: Uint8Array): void {
    if (bytes[0] === EPOCH) {
      const told = decoding.readVarUint8Array(decoding.createDecoder(bytes.subarray(1)));
      this.epoch = { bytes: told, after: this.got.map(({ type }) => type) };
      return;
    }
    this.got.push(decodeMessage(bytes));
    const answer = answerTo(bytes, this.doc, this);
    if (answer !== null) this.#up.push(answer);
  }

  /** The connection is gone, with what had not arrived. */
  leave(): void {
    this.session.leave();
    this.#following.release();
    this.closed ??= 'left';
  }
}
