/** The open WebSockets, and what is told of all of them. */
import type { DeviceId, UserId } from '../../../shared/names.js';
import type { ConnectedDevice } from '../../documents/seen-devices.js';
import { countedAs } from '../guard/authorize.js';
import type { Connection } from './connection.js';
import type { Via } from './upgrade-request.js';

export class OpenConnections extends Set<Connection> {
  /** By their protocol. */
  get byProtocol(): Readonly<Record<Via, number>> {
    const counts = { yjs: 0, json: 0 };
    for (const { wire } of this) counts[wire.via]++;
    return counts;
  }

  /** Bytes that wait for all clients. */
  get unsent(): number {
    let sum = 0;
    for (const { wire } of this) sum += wire.socket.unsent;
    return sum;
  }

  /** The same of each user whom they count for, where there are any; of `null` where no user is known. */
  get unsentByUser(): ReadonlyMap<UserId | null, number> {
    const sums = new Map<UserId | null, number>();
    for (const { wire, peer } of this) {
      const { unsent } = wire.socket;
      if (unsent === 0) continue;
      const { user } = countedAs(peer.grant);
      sums.set(user, (sums.get(user) ?? 0) + unsent);
    }
    return sums;
  }

  /** How many follow the document of each user. */
  get byUser(): ReadonlyMap<UserId, number> {
    const counts = new Map<UserId, number>();
    for (const { peer } of this) {
      const { user } = peer.grant;
      counts.set(user, (counts.get(user) ?? 0) + 1);
    }
    return counts;
  }

  /** The devices of a user, each as often as it is connected. */
  devicesOf(user: UserId, now: number, silence: number): ConnectedDevice[] {
    const own = [...this].filter(({ peer }) => peer.grant.user === user);
    return own.flatMap((connection) => connection.connected(now, silence) ?? []);
  }

  /** The connections of one device, by user. */
  usersOf(device: DeviceId, now: number, silence: number): ReadonlyMap<UserId, ConnectedDevice[]> {
    const found = new Map<UserId, ConnectedDevice[]>();
    for (const connection of this) {
      const { asked, grant } = connection.peer;
      const connected = asked.device === device ? connection.connected(now, silence) : null;
      if (connected !== null) found.set(grant.user, [...(found.get(grant.user) ?? []), connected]);
    }
    return found;
  }
}
