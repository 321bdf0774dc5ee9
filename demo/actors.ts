/** The three devices as scenes and the drawing know them, whatever they speak. */
import type { SyncClient, SyncRecord } from '../client/index.js';
import { onSettings, readSetting } from '../web/settings.js';
import { COLLECTION } from './appointments.js';
import { type Device, networkSetting, setNetwork } from './device.js';
import type { JsonDevice } from './json-device.js';
import type { PaneName } from './pane.js';
import { CHART, PRESCRIPTION } from './samples.js';

export type Changes = Readonly<Record<string, unknown>>;

/** Where a record is. */
export interface Place {
  readonly collection: string;
  readonly id: string;
}

export interface Actor {
  readonly name: PaneName;
  readonly title: string;
  /** Its network is switched on. */
  isOn(): boolean;
  isOnline(): boolean;
  /** How often somebody has written on this device, since the page is open. */
  writes(): number;
  /** Changes that the server has not confirmed. */
  pending(): number;
  /** Whether what it has stored is read. */
  isReady(): boolean;
  setOn(on: boolean): void;
  read(place: Place): SyncRecord | null;
  change(place: Place, changes: Changes): Promise<void>;
  delete(place: Place): Promise<void>;
  /** Calls when any of this may be different. */
  readonly subscribe: (call: () => void) => () => void;
}

export type Actors = Readonly<Record<PaneName, Actor>>;

const COLLECTIONS = [COLLECTION, CHART.collection, PRESCRIPTION.collection];

export function clientActor({ name, title, client, writes }: Device): Actor {
  const setting = networkSetting(name);
  return {
    name,
    title,
    isOn: () => readSetting(setting) !== 'off',
    isOnline: () => client.status.current.connection === 'online',
    writes,
    pending: () => client.status.current.pendingChanges,
    isReady: () => client.isReady(),
    setOn: (on) => setNetwork(name, on),
    read: ({ collection, id }) => client.getRecord(collection, id),
    change: ({ collection, id }, changes) => client.updateData(collection, id, changes),
    delete: ({ collection, id }) => client.deleteData(collection, id),
    subscribe: (call) => subscribeAll(client, call),
  };
}

function subscribeAll(client: SyncClient, call: () => void): () => void {
  const stops = COLLECTIONS.map((name) => client.collection(name).subscribe(call));
  stops.push(client.status.subscribe(call), onSettings(call));
  return () => {
    for (const stop of stops) stop();
  };
}

export function jsonActor(device: JsonDevice): Actor {
  return {
    name: 'old-app',
    title: 'Old app',
    isOn: () => device.state.wanted,
    isOnline: () => device.state.connection === 'online',
    writes: () => device.writes,
    pending: () => device.state.queue.length,
    isReady: () => true,
    setOn: (on) => device.setOnline(on),
    read: ({ id }) => device.state.records.find((record) => String(record.id) === id) ?? null,
    change: async ({ id }, changes) => {
      for (const [field, value] of Object.entries(changes)) device.change(id, field, value);
    },
    delete: async ({ id }) => device.delete(id),
    subscribe: device.subscribe,
  };
}
