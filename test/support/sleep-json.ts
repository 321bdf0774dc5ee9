import type { Following } from '../../server/documents/sleep/followed-documents.js';
import { JsonLine } from './devices/json-line.js';
import { messageOf, type ServerMessage } from './devices/json-words.js';
import { ANNA, type SleepWorld } from './sleep-world.js';

/** A JSON device of a world of documents that sleep; what it is sent arrives at once, and so do its pongs. */
export class SleepJson {
  /** Each message as it was sent. */
  readonly texts: string[] = [];
  closed: string | null = null;
  #line!: JsonLine; // set by the constructor, which calls back before it is done
  readonly #following: Following;
  #now = 1_000;
  #acks = 0;

  constructor(name: string, following: Following, readOnly = false) {
    this.#following = following;
    const { document } = following;
    this.#line = new JsonLine({
      document,
      device: name,
      readOnly,
      now: () => this.#now,
      heard: (text) => this.texts.push(text),
      closed: ({ code }) => {
        this.closed = code;
        this.leave();
      },
    });
  }

  static async connect(world: SleepWorld, name: string, readOnly = false): Promise<SleepJson> {
    const device = new SleepJson(name, await world.registry.follow(ANNA), readOnly);
    await device.settle(world);
    return device;
  }

  /** All that is under way arrives, with pongs. */
  async settle(world: SleepWorld): Promise<void> {
    await world.settle();
    for (let ping = this.#line.takePing(); ping !== undefined; ping = this.#line.takePing()) {
      this.#line.pong(ping);
      await world.settle();
    }
  }

  get isAwake(): boolean {
    return this.#following.document.isAwake;
  }

  get messages(): ServerMessage[] {
    return this.texts.map((text) => JSON.parse(text) as ServerMessage);
  }

  get fullSyncs(): string[] {
    return this.texts.filter((text) => text.startsWith('{"type":"FULL_SYNC"'));
  }

  pass(ms: number): void {
    this.#now += ms;
  }

  /** Returns the `ack` that it asks for. */
  write(document: { readonly id: string; readonly [name: string]: unknown }, madeAt = this.#now): string {
    const ack = `${++this.#acks}`;
    const change = { collection: 'notes', document: document as never, madeAt };
    this.#line.say({ ...messageOf(change, 'both', this.#now), ack });
    return ack;
  }

  say(message: object): void {
    this.#line.say(message);
  }

  leave(): void {
    this.#line?.leave();
    this.#following.release();
    this.closed ??= 'left';
  }
}
