/** Users who come, edit for a while, wait for each confirmation, and go: what was confirmed has to be there later. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as Y from 'yjs';
import { updateFrame } from './frames.js';
import { JsonDevice } from './json-device.js';
import { NativeDevice } from './native-device.js';

const COLLECTION = 'appointments';
const EDITS = 10;
const PAUSE = 100;

export type Way = 'native' | 'json';

export class Visitor {
  readonly name: string;
  /** The last number that was confirmed to the device of each way. */
  readonly confirmed: Record<Way, number> = { native: 0, json: 0 };
  readonly #doc = new Y.Doc();
  readonly #record = new Y.Map<number>();
  #next = 1;
  #update: Uint8Array = new Uint8Array();

  constructor(index: number) {
    this.name = `visitor-${index}`;
    this.#doc.clientID = 1_000 + index;
    this.#doc.on('update', (update: Uint8Array) => {
      this.#update = update;
    });
    this.#doc.getMap(COLLECTION).set('native', this.#record);
  }

  /** Resolves with the number of edits. */
  async visit(port: number, way: Way): Promise<number> {
    if (way === 'native') await this.#visitNatively(port);
    else await this.#visitByJson(port);
    return EDITS;
  }

  /** What the server lacks of what it had confirmed. */
  async lost(port: number): Promise<string[]> {
    const expected = { ...this.confirmed };
    const device = new NativeDevice(this.#url(port), false);
    await device.open();
    const doc = new Y.Doc({ guid: this.name });
    Y.applyUpdate(doc, await device.read());
    device.close();
    return (['native', 'json'] as const).flatMap((way) => {
      const there = (doc.getMap(COLLECTION).get(way) as Y.Map<number> | undefined)?.get('n') ?? 0;
      const missing = there < expected[way];
      return missing ? [`${this.name}: ${expected[way]} was confirmed (${way}), ${there} is there`] : [];
    });
  }

  async #visitNatively(port: number): Promise<void> {
    const device = new NativeDevice(this.#url(port), true);
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

  #url(port: number): string {
    return `ws://127.0.0.1:${port}/yjs/${this.name}?deviceId=phone`;
  }
}
