import type { DeviceId, DeviceKey, UserId } from '../../../shared/names.js';

/** Who made a change, and with which device. */
export interface Author {
  readonly device: DeviceId;
  /** Who the device acts for, where that is known. */
  readonly actor: string | null;
}

/**
 * What is known of a device is known of it in one person's hands: another may have given theirs the same id (A2).
 * The devices of the document's owner keep their plain ids, so that what was stored before there were tokens holds.
 * In a key that names both, `!` stands between them and nowhere else: ids have no `%`.
 */
export function deviceKey(owner: UserId, { device, actor }: Author): DeviceKey {
  const own = escaped(device);
  return (actor === null || actor === owner ? own : `${escaped(actor)}!${own}`) as DeviceKey;
}

const escaped = (id: string): string => id.replaceAll('!', '%21');

/** In whose hands the device is, '' for the owner's. */
export const personOf = (key: DeviceKey): string => key.slice(0, Math.max(0, key.indexOf('!')));
