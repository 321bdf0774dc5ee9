/** Who looks at this page: visitors don't see each other's data, unless they share an address. */
import { type Place, readSetting, writeSetting } from '../web/settings.js';

const NAME = /^[A-Za-z0-9._:@-]{1,128}$/;
const LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789';

const randomName = (length: number): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(length)), (n) => LETTERS[n % LETTERS.length]).join('');

function kept(name: string, length: number, place: Place): string {
  const value = readSetting(name, place) ?? randomName(length);
  writeSetting(name, value, place);
  return value;
}

const asked = new URLSearchParams(location.search).get('user');
const browser = kept('browser', 4, 'browser');

export const isUserNamed = asked !== null && NAME.test(asked);

/** The user in the address, else one for this browser. */
export const USER = asked !== null && isUserNamed ? asked : `demo-${kept('visitor', 6, 'browser')}`;

export const DEVICE_IDS = {
  phone: `phone-${browser}`,
  tablet: `tablet-${browser}`,
  // Each tab is an old app of its own: it keeps its queue where other tabs don't see it.
  oldApp: `old-app-${kept('tab', 4, 'session')}`,
  history: 'demo-history',
  desk: 'demo-desk',
} as const;

const NAMES: Readonly<Record<string, string>> = {
  [DEVICE_IDS.phone]: 'Phone',
  [DEVICE_IDS.tablet]: 'Tablet',
  [DEVICE_IDS.oldApp]: 'Old app',
  [DEVICE_IDS.history]: 'History panel',
  [DEVICE_IDS.desk]: 'Front desk',
};
const ELSEWHERE = /^(phone|tablet|old-app)-(\w{4})$/;
const KINDS: Readonly<Record<string, string>> = { phone: 'Phone', tablet: 'Tablet', 'old-app': 'Old app' };

/** As people call a device; `Phone k3m9` is one of another browser, and strangers go by their id. */
export function nameOfDevice(deviceId: string): string {
  const [, kind = '', place] = ELSEWHERE.exec(deviceId) ?? [];
  return NAMES[deviceId] ?? (place === undefined ? deviceId : `${KINDS[kind]} ${place}`);
}
