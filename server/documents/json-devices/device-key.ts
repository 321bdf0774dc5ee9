/** By which key what is known of a JSON device is kept (L4, A2). */
import type { DeviceKey, UserId } from '../../../shared/names.js';
import type { Origin } from '../changes.js';

/** The part of an origin that tells devices apart. */
export type DeviceOrigin = Pick<Origin, 'device' | 'actor'>;

/**
 * What is known of a device is known of it in one person's hands: another may have given theirs the same id (A2).
 * The devices of the document's owner keep their plain ids, so that what was stored before there were tokens holds.
 * In a key that names both, `!` stands between them and nowhere else: ids have no `%`.
 */
export function deviceKey(owner: UserId, { device, actor }: DeviceOrigin): DeviceKey {
  const own = escaped(device);
  return (actor === null || actor === owner ? own : `${escaped(actor)}!${own}`) as DeviceKey;
}

const escaped = (id: string): string => id.replaceAll('!', '%21');

/** The person who has the device in hand, '' for the owner. */
export const personOf = (key: DeviceKey): string => key.slice(0, Math.max(0, key.indexOf('!')));
