import { createSyncClient, indexedDbStorage, type SyncClient } from '../client/index.js';
import { DEVICE_IDS, USER } from './identity.js';
import { onSettings, readSetting, writeSetting } from './settings.js';

export type DeviceName = 'phone' | 'tablet';

/** A whole device in this page: a client of its own with a database of its own. */
export interface Device {
  readonly name: DeviceName;
  readonly title: string;
  readonly client: SyncClient;
}

export const networkSetting = (name: DeviceName): string => `${name}:network`;
const wantsNetwork = (name: DeviceName): boolean => readSetting(networkSetting(name)) !== 'off';

/** Switches the network of this device off and on, in every tab, and across reloads. */
export const setNetwork = (name: DeviceName, on: boolean): void =>
  writeSetting(networkSetting(name), on ? 'on' : 'off');

export function openDevice(name: DeviceName, title: string): Device {
  const client = createSyncClient();
  const autoConnect = wantsNetwork(name);
  const started = client.initialize({
    serverUrl: location.origin,
    userId: USER,
    deviceId: DEVICE_IDS[name],
    storage: indexedDbStorage({ prefix: `demo-${name}` }),
    autoConnect,
  });
  void started.then(() => followNetwork(client, name, autoConnect));
  return { name, title, client };
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
