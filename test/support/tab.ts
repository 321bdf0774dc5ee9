import type { MovedInMemory } from '../../client/epochs/moved.js';
import type { DeviceStorage } from '../../client/local-store/store.js';
import { Replica } from '../../client/replica/replica.js';
import { ManualClock } from './manual-clock.js';
import { Watched } from './wait.js';

/** One tab, or one start of an app: a replica, and what it said. */
export class Tab {
  readonly said: string[] = [];
  readonly watched = new Watched();
  counts: number[] = [];
  replica!: Replica;

  static async open(storage: DeviceStorage, clock = new ManualClock(), moved?: MovedInMemory): Promise<Tab> {
    const tab = new Tab();
    tab.replica = await Replica.open({
      storage,
      name: 'anna',
      moved,
      clock,
      onChange: () => {
        if (tab.replica !== undefined) tab.counts.push(tab.replica.pendingCount);
        tab.watched.changed();
      },
      onStorage: (error) => {
        tab.said.push(error?.code ?? 'mended');
        tab.watched.changed();
      },
      onCleared: () => {
        tab.said.push('cleared');
        tab.watched.changed();
      },
      onBroken: () => tab.said.push('broken'),
      onMoved: () => false,
    });
    return tab;
  }

  get count(): number {
    return this.replica.pendingCount;
  }

  set(key: string, value: unknown): Promise<unknown> {
    return this.replica.write((doc) => doc.getMap('notes').set(key, value));
  }

  notes(): unknown {
    return this.replica.doc.getMap('notes').toJSON();
  }

  last(): number {
    return this.replica.pendingAfter(0).at(-1)?.number ?? 0;
  }

  until(look: () => boolean, what: string): Promise<true> {
    return this.watched.until(look, () => what) as Promise<true>;
  }
}

/** As a tab of the background, which is told nothing before it writes. */
export const asleep = (storage: DeviceStorage): DeviceStorage => ({
  name: 'asleep',
  durable: true,
  open: (name, events) => storage.open(name, { ...events, onNews() {} }),
  readSetting: (name) => storage.readSetting(name),
  writeSetting: (name, value) => storage.writeSetting(name, value),
});
