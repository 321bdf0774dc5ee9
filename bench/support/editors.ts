/** Users who edit at their leisure, and how long each edit takes until it is durable. */
import { setTimeout as sleep } from 'node:timers/promises';
import { JsonDevice } from './json-device.js';
import type { Scope } from './scope.js';

export class Editors {
  readonly #devices: readonly JsonDevice[];

  private constructor(devices: readonly JsonDevice[]) {
    this.#devices = devices;
  }

  static async gather(count: number, port: number, scope: Scope): Promise<Editors> {
    const devices = Array.from({ length: count }, (_, n) => new JsonDevice(port, `editor-${n}`, 'desk'));
    await Promise.all(devices.map((device) => device.open()));
    scope.atEnd(() => {
      for (const device of devices) device.close();
    });
    return new Editors(devices);
  }

  /** How long each edit took, in ms; ten a second by each, where that is possible. */
  async edit(seconds: number): Promise<number[]> {
    const times: number[] = [];
    const end = Date.now() + seconds * 1_000;
    const edit = async (device: JsonDevice, index: number): Promise<void> => {
      await sleep(index * 10);
      for (let n = 0; Date.now() < end; n++) {
        const began = performance.now();
        await device.save(JSON.stringify({ id: `r${n % 20}`, n }));
        times.push(performance.now() - began);
        await sleep(100);
      }
    };
    await Promise.all(this.#devices.map(edit));
    return times;
  }
}
