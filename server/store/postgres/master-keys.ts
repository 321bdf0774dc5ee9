/** The master keys of all servers of a store: none works with others than the rest (060). */
import { SyncError } from '../../errors.js';
import { type KeyRing, wrappedWith } from '../encryption/key-ring.js';
import { type Ask, connected } from './connection.js';
import { DEAD_AFTER } from './statements.js';

const KEYS = 'SELECT id FROM master_key ORDER BY id';
/** The keys of so many users are looked at in one statement, however many there are. */
export const KEYS_AT_ONCE = 1_000;
/** Of the next keys what they are wrapped with, as bytes, since one that is damaged is no text; and where they end. */
const WRAPPING = `
WITH part AS MATERIALIZED (SELECT doc, value FROM kept WHERE kind = 'key' AND doc > $1::int8 ORDER BY doc LIMIT $2::int8)
SELECT DISTINCT substring(value FROM 1 FOR 8) AS id, NULL::int8 AS doc FROM part
UNION ALL SELECT NULL, max(doc) FROM part`;
const ID = /^[0-9a-f]{8}$/;
/** Whoever was silent for long and comes back has to look at the keys anew, as at a start. */
export const FENCE_SILENT = `
UPDATE node SET fenced = true WHERE id IN (SELECT id FROM node
 WHERE NOT fenced AND id <> $1::int8 AND beat <= now() - interval '${DEAD_AFTER}' ORDER BY id FOR UPDATE)`;
const HAS_VALUES = `
SELECT EXISTS (SELECT FROM update_row) OR EXISTS (SELECT FROM history_row)
    OR EXISTS (SELECT FROM kept WHERE kind NOT IN ('tombstone', 'plain')) AS there`;
export const USE_KEY = 'INSERT INTO master_key (id) VALUES ($1::text) ON CONFLICT DO NOTHING';
/** $1 is a node of this server, or 0; $2 is its address, whose earlier nodes are over. */
const OTHERS = `
SELECT address, keys FROM node
 WHERE NOT fenced AND id <> $1::int8 AND address <> $2::text AND beat > now() - interval '${DEAD_AFTER}' ORDER BY id`;

/** What another server that lives says of its keys. */
export interface OtherNode {
  readonly address: string;
  /** The one that it wraps with first; empty where it encrypts nothing, `null` where it is too old to say. */
  readonly keys: readonly string[] | null;
}

/** What this server tells the others: the key that it wraps with, and all that it has. */
export const toldKeys = (ring: KeyRing | null, inUse = ring?.current.id): readonly string[] =>
  ring === null || inUse === undefined ? [] : [inUse, ...ring.ids.filter((id) => id !== inUse)];

export const othersOf = async (ask: Ask, node: number, address: string): Promise<readonly OtherNode[]> =>
  (await ask(OTHERS, [node, address])) as OtherNode[];

export const usedKeys = async (ask: Ask): Promise<readonly string[]> =>
  (await ask(KEYS, [])).map(({ id }) => String(id));

/** Which master keys the keys of users need, whatever is noted. */
async function wrappingKeys(ask: Ask, atOnce: number): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (let after = 0; ; ) {
    const rows = await ask(WRAPPING, [after, atOnce]);
    for (const { id } of rows) if (id !== null) found.add(wrappedWith(id));
    const end = rows.find(({ id }) => id === null)?.doc ?? null;
    if (end === null) return found;
    after = Number(end);
  }
}

/**
 * In turns with every other start and change of keys, so that no two of them pass each other by. Rejects with a
 * sentence that names cause and cure where the keys are not those of what is stored, or of the servers that live.
 */
export async function checkMasterKeys(ask: Ask, ring: KeyRing | null, address: string): Promise<void> {
  const used = await usedKeys(ask);
  if (ring === null) {
    if (used.length > 0)
      throw refused(`is encrypted (key ${used.join(', ')}): set ENCRYPTION_KEY or ENCRYPTION_KEY_FILE.`);
    return;
  }
  mustHave(ring, used);
  const isNew = used.length === 0;
  if (isNew) await ask(FENCE_SILENT, [0]); // else one that encrypts nothing might come back
  const others = await othersOf(ask, 0, address);
  const plain = others.find(({ keys }) => (keys === null ? isNew : keys.length === 0));
  if (plain !== undefined)
    throw unequal(plain, 'encrypts nothing, and this one has a key: start all with the same key, or none');
  const { id } = ring.current;
  const strange = others.find(({ keys }) => keys !== null && !keys.includes(id));
  if (strange !== undefined)
    throw unequal(strange, `does not have the key ${id}, the first one here: give all the same file of keys`);
  if (isNew && (await ask(HAS_VALUES, []))[0]?.there === true)
    throw refused(
      'is not encrypted, and is not encrypted where it is: move it to a folder, start a server with the key there once, and move that to an empty database (docs/guides/SCALING.md).',
    );
  await ask(USE_KEY, [id]);
}

export function mustHave(ring: KeyRing, used: readonly string[]): void {
  const missing = used.filter((id) => !ring.has(id));
  if (missing.length > 0)
    throw refused(
      `is encrypted with the key ${missing.join(', ')}, which is not among those given (${ring.ids.join(', ')}).`,
    );
}

/** For a command: which keys the servers of this store need. */
export async function masterKeysAt(url: string, atOnce = KEYS_AT_ONCE): Promise<readonly string[]> {
  const client = await connected({ url, timeout: 10_000 });
  try {
    const ask: Ask = async (text, values) => (await client.query(text, values)).rows;
    const used = await usedKeys(ask); // first: with one that is not noted nobody wraps any more
    const wrapping = [...(await wrappingKeys(ask, atOnce))].filter((id) => ID.test(id));
    return [...new Set([...used, ...wrapping])].sort();
  } finally {
    await client.end();
  }
}

const refused = (what: string): SyncError =>
  new SyncError('STORE_UNAVAILABLE', `What is stored in the PostgreSQL of STORE ${what}`);

export const unequal = ({ address }: OtherNode, why: string): SyncError =>
  new SyncError(
    'STORE_UNAVAILABLE',
    `Another server of STORE${address === '' ? '' : `, at ${address},`} ${why}.`,
  );
