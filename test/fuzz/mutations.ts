/** Changes an update: its parts where it can be taken apart, else its bytes. */
import { HAS_ORIGIN, HAS_PARENT_SUB, HAS_RIGHT_ORIGIN } from '../../server/protocol/struct-table.js';
import {
  assemble,
  type Id,
  type ParsedSection,
  type ParsedStruct,
  type ParsedUpdate,
  parse,
} from './parsed.js';

export type Random = () => number;

export const below = (random: Random, limit: number): number => Math.floor(random() * limit);
export const oneOf = <T>(random: Random, values: readonly T[]): T | undefined =>
  values[below(random, values.length)];

/** What a mutation may take pieces from. */
export interface Pool {
  readonly updates: readonly Uint8Array[];
  readonly clients: readonly number[];
}

type Mutation = (update: ParsedUpdate, random: Random, pool: Pool) => void;

const section = (update: ParsedUpdate, random: Random): ParsedSection | undefined =>
  oneOf(random, update.sections);

function struct(update: ParsedUpdate, random: Random): ParsedStruct | undefined {
  const found = section(update, random);
  return found && oneOf(random, found.structs);
}

function anyId(update: ParsedUpdate, random: Random, pool: Pool): Id {
  const from = section(update, random);
  const client = (random() < 0.5 ? from?.client : undefined) ?? oneOf(random, pool.clients) ?? 1;
  return { client, clock: below(random, 3 ** below(random, 5)) };
}

const nudge = (random: Random, value: number): number =>
  Math.max(0, value + (oneOf(random, [-2, -1, 1, 2, 100, 2 ** 31]) ?? 1));

const MUTATIONS: readonly Mutation[] = [
  (update, random, pool) => {
    const changed = struct(update, random);
    if (changed !== undefined && changed.first !== null) changed.first = anyId(update, random, pool);
  },
  (update, random, pool) => {
    const changed = struct(update, random);
    if (changed === undefined) return;
    changed.info ^= HAS_RIGHT_ORIGIN;
    changed.second = anyId(update, random, pool);
  },
  (update, random, pool) => {
    const changed = struct(update, random);
    if (changed === undefined) return;
    changed.info |= HAS_ORIGIN;
    changed.first = anyId(update, random, pool);
  },
  (update, random) => {
    const changed = struct(update, random);
    if (changed !== undefined) changed.info ^= oneOf(random, [HAS_PARENT_SUB, 1, 2, 3, 4, 15]) ?? 1;
  },
  (update, random) => {
    const changed = section(update, random);
    if (changed !== undefined) changed.clock = nudge(random, changed.clock);
  },
  (update, random, pool) => {
    const changed = section(update, random);
    if (changed !== undefined) changed.client = oneOf(random, pool.clients) ?? changed.client;
  },
  (update, random) => {
    const changed = section(update, random);
    changed?.structs.splice(below(random, changed.structs.length), 1);
  },
  (update, random) => {
    const changed = section(update, random);
    const copied = struct(update, random);
    if (changed && copied) changed.structs.splice(below(random, changed.structs.length), 0, { ...copied });
  },
  (update, random) => {
    const changed = section(update, random);
    if (changed === undefined) return;
    const [a, b] = [below(random, changed.structs.length), below(random, changed.structs.length)];
    const [first, second] = [changed.structs[a], changed.structs[b]];
    if (first && second) [changed.structs[a], changed.structs[b]] = [second, first];
  },
  (update, random) => {
    const changed = section(update, random);
    const collected = { info: 0, first: null, second: null, length: 1, place: new Uint8Array(0) };
    const content = Uint8Array.of(1 + below(random, 20));
    changed?.structs.splice(below(random, changed.structs.length + 1), 0, { ...collected, content });
  },
  (update, random, pool) => {
    update.deletions.push({ ...anyId(update, random, pool), length: 1 + below(random, 30) });
  },
  (update, random) => {
    const changed = oneOf(random, update.deletions);
    if (changed) changed.length = nudge(random, changed.length);
  },
  (update, random) => {
    update.deletions.splice(below(random, update.deletions.length), 1 + below(random, 3));
  },
  (update, random, pool) => {
    const other = oneOf(random, pool.updates);
    if (other === undefined) return;
    const taken = section(parse(other), random);
    if (taken && !update.sections.some(({ client }) => client === taken.client)) update.sections.push(taken);
  },
  (update, random) => void update.sections.sort(() => random() - 0.5),
  (update, random, pool) => {
    const other = oneOf(random, pool.updates);
    const changed = section(update, random);
    const taken = other && struct(parse(other), random);
    if (changed && taken) changed.structs.splice(below(random, changed.structs.length + 1), 0, taken);
  },
];

export function mutated(update: Uint8Array, random: Random, pool: Pool): Uint8Array {
  if (random() < 0.15) return bytesMutated(update, random);
  const parsed = parse(update);
  for (let left = 1 + below(random, 4); left > 0; left--) oneOf(random, MUTATIONS)?.(parsed, random, pool);
  parsed.sections = parsed.sections.filter(({ structs }) => structs.length > 0);
  const result = assemble(parsed);
  return random() < 0.1 ? bytesMutated(result, random) : result;
}

function bytesMutated(update: Uint8Array, random: Random): Uint8Array {
  const bytes = Array.from(update);
  for (let left = 1 + below(random, 3); left > 0; left--) {
    const at = below(random, bytes.length + 1);
    if (random() < 0.6) bytes[at] = below(random, 256);
    else if (random() < 0.5) bytes.splice(at, 1 + below(random, 4));
    else bytes.splice(at, 0, below(random, 256));
  }
  return Uint8Array.from(bytes);
}
