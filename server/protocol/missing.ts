/** What an update builds on that is not there. */
import type { UpdateScan } from './scan.js';

/** Something that an update builds on: this clock of this client. */
export interface Dependency {
  readonly client: number;
  readonly clock: number;
}

/** The first thing that is missing; `null` when the update can be applied. */
export function firstMissing(scan: UpdateScan, stateOf: (client: number) => number): Dependency | null {
  const known = new Map<number, number>();
  const knownOf = (client: number): number => known.get(client) ?? stateOf(client);
  for (const { client, from, to } of scan.ranges) {
    const state = knownOf(client);
    if (from > state) return { client, clock: from - 1 };
    known.set(client, Math.max(state, to));
  }
  for (const [client, clock] of scan.needs) {
    if (clock > knownOf(client)) return { client, clock: clock - 1 };
  }
  return null;
}
