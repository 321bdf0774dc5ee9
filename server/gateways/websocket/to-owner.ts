/** An upgrade of a user whom another node serves is led on to that one. */
import type { Hops } from '../../cluster/hops.js';
import type { Peer } from './handshake.js';
import type { PutOff } from './put-off.js';
import { type Door, refuse } from './rejections.js';

/** Whether this node serves the user; otherwise the upgrade is seen to. */
export async function isOwner(
  hops: Hops,
  { request, stream, head }: Omit<Door, 'challenge'>,
  { asked, grant }: Peer,
  putOff: PutOff,
): Promise<boolean> {
  const guest = { user: grant.user, address: grant.address };
  const whither = await hops.socket(guest, { request, stream, head });
  if (whither === 'not mine') refuse(stream, { code: 'NOT_OWNER', retryAfter: 0 });
  if (whither === 'unreachable')
    putOff.take({ request, stream, head, challenge: asked.challenge }, 'OWNER_UNREACHABLE', (canTell) =>
      hops.mayCome(guest, canTell),
    );
  return whither === 'here';
}
