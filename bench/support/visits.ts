/** Users who come, edit for a while, wait for each confirmation, and go: what was confirmed has to be there later. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as Y from 'yjs';
import { updateFrame } from './frames.js';
import { JsonDevice } from './json-device.js';
import { NativeDevice } from './native-device.js';

const COLLECTION = 'appointments';
const EDITS = 10;
const PAUSE = 30;
/** After so many visits another user comes instead: else documents and histories would grow, and so what is in memory. */
const VISITS = 10;

export type Way = 'native' | 'json';

/** What a fresh device of the user does not find of the numbers that were confirmed. */
export async function lostOf(
  user: string,
  confirmed: Readonly<Record<Way, number>>,
  port: number,
): Promise<string[]> {
  const expected = { ...confirmed };
  const device = new NativeDevice(nativeUrl(port, user), false);
  await device.open();
  const doc = new Y.Doc({ guid: user });
  Y.applyUpdate(doc, await device.read());
  device.close();
  return (['native', 'json'] as const).flatMap((way) => {
    const there = (doc.getMap(COLLECTION).get(way) as Y.Map<number> | undefined)?.get('n') ?? 0;
    const missing = there < expected[way];
    return missing ? [`${user}: ${expected[way]} was confirmed (${way}), ${there} is there`] : [];
  });
}

const nativeUrl = (port: number, user: string): string => `ws://127.0.0.1:${port}/yjs/${user}?deviceId=phone`;

export class Visitor {
  readonly name: string;
  /** The last number that was confirmed to the device of each way. */
  readonly confirmed: Record<Way, number> = { native: 0, json: 0 };
  readonly #index: number;
  readonly #doc = new Y.Doc();
  readonly #record = new Y.Map<number>();
  #next = 1;
  #visits = 0;
  #update: Uint8Array = new Uint8Array();

  constructor(index: number) {
    this.#index = index;
    this.name = `visitor-${index}`;
    this.#doc.clientID = 1_000 + index;
    this.#doc.on('update', (update: Uint8Array) => {
      this.#update = update;
    });
    this.#doc.getMap(COLLECTION).set('native', this.#record);
  }

  /** Who comes next in its place: itself, or one who was never there, `apart` further. */
  next(apart: number): Visitor {
    return this.#visits < VISITS ? this : new Visitor(this.#index + apart);
  }

  /** Natively and by JSON in turn; resolves with the number of edits. */
  async visit(port: number): Promise<number> {
    const way: Way = this.#visits++ % 2 === 0 ? 'native' : 'json';
    if (way === 'native') await this.#visitNatively(port);
    else await this.#visitByJson(port);
    return EDITS;
  }

  /** What the server lacks of what it had confirmed. */
  lost(port: number): Promise<string[]> {
    return lostOf(this.name, this.confirmed, port);
  }

  async #visitNatively(port: number): Promise<void> {
    const device = new NativeDevice(nativeUrl(port, this.name), true);
    await device.open();
    await device.save(updateFrame(Y.encodeStateAsUpdate(this.#doc)));
    for (let edit = 0; edit < EDITS; edit++) {
      const n = this.#next++;
      this.#record.set('n', n);
      await device.save(updateFrame(this.#update));
      this.confirmed.native = n;
      await sleep(PAUSE);
    }
    device.close();
  }

  async #visitByJson(port: number): Promise<void> {
    const device = new JsonDevice(port, this.name, 'tablet');
    await device.open();
    for (let edit = 0; edit < EDITS; edit++) {
      const n = this.#next++;
      await device.save(JSON.stringify({ id: 'json', n, note: 'a note that stays as it is' }));
      this.confirmed.json = n;
      await sleep(PAUSE);
    }
    device.close();
  }
}
