import { createSyncClient, indexedDbStorage, type SyncClient } from '../client/index.js';
import { onSettings, readSetting, writeSetting } from '../web/settings.js';
import { DEVICE_IDS, USER } from './identity.js';

export type DeviceName = 'phone' | 'tablet';

/** A whole device in this page: a client of its own with a database of its own. */
export interface Device {
  readonly name: DeviceName;
  readonly title: string;
  readonly client: SyncClient;
  /** How often somebody has written on it, since the page is open. */
  readonly writes: () => number;
}

export const networkSetting = (name: DeviceName): string => `${name}:network`;
const wantsNetwork = (name: DeviceName): boolean => readSetting(networkSetting(name)) !== 'off';

/** Switches the network of this device off and on, in every tab, and across reloads. */
export const setNetwork = (name: DeviceName, on: boolean): void =>
  writeSetting(networkSetting(name), on ? 'on' : 'off');

export function openDevice(name: DeviceName, title: string): Device {
  const client = createSyncClient();
  const writes = countWrites(client);
  const autoConnect = wantsNetwork(name);
  const started = client.initialize({
    serverUrl: location.origin,
    userId: USER,
    deviceId: DEVICE_IDS[name],
    storage: indexedDbStorage({ prefix: `demo-${name}` }),
    autoConnect,
  });
  void started.then(() => followNetwork(client, name, autoConnect));
  return { name, title, client, writes };
}

/** Views tell that a record changed, and not who changed it: this page also draws who did. */
function countWrites(client: SyncClient): () => number {
  let count = 0;
  const counted =
    <Args extends unknown[], Result>(write: (...args: Args) => Result) =>
    (...args: Args): Result => {
      count += 1;
      return write.apply(client, args);
    };
  const { addData, updateData, deleteData } = client;
  Object.assign(client, {
    addData: counted(addData),
    updateData: counted(updateData),
    deleteData: counted(deleteData),
  });
  return () => count;
}

function followNetwork(client: SyncClient, name: DeviceName, isOn: boolean): void {
  let on = isOn;
  const follow = (): void => {
    if (on === wantsNetwork(name)) return;
    on = !on;
    void (on ? client.connect() : client.disconnect());
  };
  follow();
  onSettings(follow);
}
