/** Mutated updates against the scan, the checks and Yjs: of documents in memory, asleep, and written anew. */
import fc from 'fast-check';
import * as Y from 'yjs';
import { docsOf, edits, updatesOf } from '../support/edited-docs.js';
import { seededRandom } from '../support/hostile.js';
import { outcomeOf } from './invariants.js';
import { below, mutated, oneOf, type Random } from './mutations.js';
import { ANEW, anew, Sleepers, type Stored } from './sleepers.js';

export interface FuzzOptions {
  readonly seed: number;
  /** Whichever comes first. */
  readonly updates?: number;
  readonly seconds?: number;
}

export interface Find {
  readonly error: unknown;
  readonly base: readonly Uint8Array[];
  readonly update: Uint8Array;
}

interface Fuzzed {
  readonly runs: number;
  /** How often each outcome came. */
  readonly of: Readonly<Record<string, number>>;
  readonly finds: readonly Find[];
}

/** Updates that are made of one world. */
const OF_ONE = 40;

interface World {
  readonly base: Uint8Array[];
  readonly updates: Uint8Array[];
  /** What each of the devices has, all of it. */
  readonly states: Uint8Array[];
  readonly clients: number[];
}

/** Two edited documents: what the server has of them, and what comes in. */
function worldOf(random: Random): World {
  const [made = []] = fc.sample(edits, { seed: below(random, 2 ** 31), numRuns: 1 });
  const docs = docsOf(made);
  const states = docs.map((doc) => Y.encodeStateAsUpdate(doc));
  const base = states.filter(() => random() < 0.5);
  const updates = updatesOf(docs).filter(({ length }) => length > 2);
  const clients = docs.flatMap((doc) => [
    doc.clientID,
    ...Y.decodeStateVector(Y.encodeStateVector(doc)).keys(),
  ]);
  return { base, updates, states, clients: [...clients, 1, ANEW, 4_000_000_002] };
}

/** Each update comes to a document in one of these ways. */
async function meets(sleepers: Sleepers, random: Random, world: World, update: Uint8Array): Promise<string> {
  const asItIs: Stored = { updates: world.base, epoch: null };
  const isAnew = random() < 0.3;
  const stored = (isAnew ? anew(world.base) : null) ?? asItIs;
  const name = stored === asItIs ? '' : ', written anew';
  if (random() < 0.1) return `${await sleepers.greets(stored, oneOf(random, world.states))} asleep${name}`;
  if (random() < 0.5) return outcomeOf(stored.updates, update, stored.epoch) + name;
  return `${await sleepers.outcomeOf(stored, update, random() < 0.5)} asleep${name}`;
}

/** @param found called with each find */
export async function fuzz(
  { seed, updates = Number.POSITIVE_INFINITY, seconds = Number.POSITIVE_INFINITY }: FuzzOptions,
  found: (find: Find) => void = () => {},
): Promise<Fuzzed> {
  const random = seededRandom(seed);
  const sleepers = new Sleepers();
  const counts: Record<string, number> = {};
  const finds: Find[] = [];
  const end = performance.now() + seconds * 1_000;
  let runs = 0;
  const goesOn = (): boolean => runs < updates && performance.now() < end;
  while (goesOn()) {
    const world = worldOf(random);
    for (let left = OF_ONE; left > 0 && goesOn(); left--) {
      const base = oneOf(random, world.updates);
      if (base === undefined) break;
      let update = new Uint8Array(0);
      try {
        update = new Uint8Array(mutated(base, random, world));
        const outcome = await meets(sleepers, random, world, update);
        counts[outcome] = (counts[outcome] ?? 0) + 1;
      } catch (error) {
        finds.push({ error, base: world.base, update });
        found({ error, base: world.base, update });
      }
      runs++;
    }
  }
  sleepers.close();
  return { runs, of: counts, finds };
}
