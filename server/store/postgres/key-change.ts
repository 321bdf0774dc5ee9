/** A new master key, while servers go on: nobody wraps with it before all can open it, and the old one goes last. */
import { type KeyRing, wrappedWith } from '../encryption/key-ring.js';
import type { CipherVaults } from '../encryption/vault.js';
import { wrappedKey } from '../format.js';
import { Turns } from '../level/access.js';
import { byteas, int8s } from './arrays.js';
import type { Ask } from './connection.js';
import {
  FENCE_SILENT,
  KEYS_AT_ONCE,
  mustHave,
  type OtherNode,
  othersOf,
  toldKeys,
  USE_KEY,
  unequal,
  usedKeys,
} from './master-keys.js';
import { TAKE_TURN } from './schema.js';
import type { Session } from './session.js';

const TELL = 'UPDATE node SET keys = $2::text[] WHERE id = $1::int8';
/** Of the next keys those that are wrapped with another one, and behind them up to where that is. */
const NEXT = `
WITH part AS MATERIALIZED (SELECT doc, value FROM kept WHERE kind = 'key' AND doc > $1::int8 ORDER BY doc LIMIT $3::int8)
SELECT k.doc, d.user_id, k.value FROM part k LEFT JOIN document d USING (doc)
 WHERE substring(k.value FROM 1 FOR 8) <> $2::bytea
UNION ALL SELECT max(doc), NULL, NULL FROM part`;
/** Where it is still what was read. */
const REWRAP = `
UPDATE kept k SET value = x.value FROM unnest($1::int8[], $2::bytea[], $3::bytea[]) x(doc, old, value)
 WHERE k.doc = x.doc AND k.kind = 'key' AND k.value = x.old`;
const LAST_NODE = 'SELECT max(id) AS id FROM node';
const FORGET = 'DELETE FROM master_key WHERE id = ANY ($1::text[])';

export interface KeyChangeParts {
  readonly session: Session;
  readonly vaults: CipherVaults;
  /** Resolves when everything that was handed over is written. */
  readonly idle: () => Promise<void>;
  /** For tests: how many users' keys are looked at in one statement. */
  readonly atOnce?: number | undefined;
}

/** What has to be so still when everything is wrapped anew. */
interface Before {
  /** The last one that was started. */
  readonly node: number;
  /** The keys that were in use. */
  readonly used: readonly string[];
}

export class KeyChange {
  readonly #parts: KeyChangeParts;
  readonly #turns = new Turns();
  /** Those that were given last. */
  #wanted: KeyRing | null = null;

  constructor(parts: KeyChangeParts) {
    this.#parts = parts;
  }

  /**
   * The keys for a start, where those with these ids are in use. Others may have changed them while this node was
   * fenced: then it goes on with those that were given to it since, and nothing of its own waits to be written.
   */
  ringFor(used: readonly string[]): KeyRing {
    const { vaults } = this.#parts;
    const wanted = this.#wanted;
    const [first] = used;
    if (fits(vaults.ring, used) || wanted === null || first === undefined || !hasAll(wanted, used))
      return vaults.ring;
    vaults.ring = fits(wanted, used) ? wanted : wanted.withCurrent(first);
    return vaults.ring;
  }

  /** Rejects with a sentence while another server is not ready for it: then it is to be asked again. */
  change(ring: KeyRing): Promise<void> {
    this.#wanted = ring;
    return this.#turns.take(async () => {
      const { session, vaults, idle } = this.#parts;
      const inUse = vaults.ring.current.id;
      // What others may wrap with this one can open, from before they do; and what it told before stays true.
      await session.connection.inTurn(TAKE_TURN, async (ask) => {
        mustHave(ring, [inUse, ...(await usedKeys(ask))]);
        await ask(TELL, [session.node.id, toldKeys(ring, inUse)]);
      });
      vaults.ring = ring.withCurrent(inUse);
      const isNew = await session.connection.inTurn(TAKE_TURN, (ask) => this.#announce(ask, ring));
      vaults.ring = ring;
      await idle(); // users who were new before have the old key
      await session.connection.change({ text: TELL, values: [session.node.id, toldKeys(ring)] });
      if (!isNew) return;
      while (!(await this.#replace(ring)));
    });
  }

  /**
   * In turns with nobody, since it may take long: a server that was started meanwhile may have wrapped with another key.
   *
   * @returns whether that was not so
   */
  async #replace(ring: KeyRing): Promise<boolean> {
    const { connection } = this.#parts.session;
    const before = await connection.inTurn(TAKE_TURN, (ask) => this.#allUsing(ask, ring));
    const left = await this.#rewrap(ring);
    const over = before.used.filter((id) => id !== ring.current.id && !left.has(id));
    return await connection.inTurn(TAKE_TURN, async (ask) => {
      if ((await this.#allUsing(ask, ring)).node !== before.node) return false;
      await ask(FORGET, [over]);
      return true;
    });
  }

  /** Returns whether another key is in use, too. */
  async #announce(ask: Ask, ring: KeyRing): Promise<boolean> {
    const used = await usedKeys(ask);
    mustHave(ring, used);
    const { id } = ring.current;
    if (used.length === 1 && used[0] === id) return false; // each server that lives has it since its start
    const lacking = (await this.#others(ask)).find(({ keys }) => keys === null || !keys.includes(id));
    if (lacking !== undefined)
      throw unequal(
        lacking,
        `does not have the key ${id} yet: put it into its file of keys, too. Until then this one goes on with the one of before`,
      );
    await ask(USE_KEY, [id]);
    return true;
  }

  /** @throws SyncError where a server that lives does not use the new key */
  async #allUsing(ask: Ask, ring: KeyRing): Promise<Before> {
    const { id } = ring.current;
    const other = (await this.#others(ask)).find(({ keys }) => keys?.[0] !== id);
    if (other !== undefined)
      throw unequal(
        other,
        `does not use the key ${id} yet: give it the same file of keys, with that one first`,
      );
    return { node: Number((await ask(LAST_NODE, []))[0]?.id), used: await usedKeys(ask) };
  }

  async #others(ask: Ask): Promise<readonly OtherNode[]> {
    const { node } = this.#parts.session;
    await ask(FENCE_SILENT, [node.id]);
    return await othersOf(ask, node.id, node.address);
  }

  /** Returns the ids of the keys that are needed still, for those that could not be opened. */
  async #rewrap(ring: KeyRing): Promise<ReadonlySet<string>> {
    const { session, atOnce = KEYS_AT_ONCE } = this.#parts;
    const left = new Set<string>();
    for (let after = 0; ; ) {
      const values = [after, Buffer.from(ring.current.id), atOnce];
      const rows = await session.connection.read({ name: 'keys', text: NEXT, values });
      const anew = rows.flatMap(({ doc, user_id, value }) => {
        if (value === null) return [];
        const place = wrappedKey(String(user_id));
        const dataKey = ring.unwrap(value, place);
        if (dataKey !== undefined) return [{ doc: Number(doc), value, anew: ring.wrap(dataKey, place) }];
        left.add(wrappedWith(value));
        return [];
      });
      const changed = [
        int8s(anew.map(({ doc }) => doc)),
        byteas(anew.map(({ value }) => value)),
        byteas(anew.map((row) => row.anew)),
      ];
      if (anew.length > 0) await session.connection.change({ text: REWRAP, values: changed });
      const end = rows.find(({ value }) => value === null)?.doc ?? null;
      if (end === null) return left;
      after = Number(end);
    }
  }
}

const hasAll = (ring: KeyRing, used: readonly string[]): boolean => used.every((id) => ring.has(id));

/** Whether it opens what is there, and wraps with what the others have. */
const fits = (ring: KeyRing, used: readonly string[]): boolean =>
  hasAll(ring, used) && used.includes(ring.current.id);
