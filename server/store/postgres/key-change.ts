/** A new master key, while servers go on: nobody wraps with it before all can open it, and the old one goes last. */
import type { KeyRing } from '../encryption/key-ring.js';
import type { CipherVaults } from '../encryption/vault.js';
import { wrappedKey } from '../format.js';
import { Turns } from '../level/access.js';
import { byteas, int8s } from './arrays.js';
import type { Ask } from './connection.js';
import {
  FENCE_SILENT,
  mustHave,
  type OtherNode,
  othersOf,
  toldKeys,
  USE_KEY,
  unequal,
  usedKeys,
  wrappingKeys,
} from './master-keys.js';
import { TAKE_TURN } from './schema.js';
import type { Session } from './session.js';

const TELL = 'UPDATE node SET keys = $2::text[] WHERE id = $1::int8';
const AT_ONCE = 500;
const WRAPPED = `
SELECT k.doc, d.user_id, k.value FROM kept k JOIN document d USING (doc)
 WHERE k.kind = 'key' AND k.doc > $1::int8 AND substring(k.value FROM 1 FOR 8) <> $2::bytea ORDER BY k.doc LIMIT ${AT_ONCE}`;
/** Where it is still what was read. */
const REWRAP = `
UPDATE kept k SET value = x.value FROM unnest($1::int8[], $2::bytea[], $3::bytea[]) x(doc, old, value)
 WHERE k.doc = x.doc AND k.kind = 'key' AND k.value = x.old`;
const FORGET = 'DELETE FROM master_key WHERE id <> $1::text AND id <> ALL ($2::text[])';

export interface KeyChangeParts {
  readonly session: Session;
  readonly vaults: CipherVaults;
  /** Resolves when everything that was handed over is written. */
  readonly idle: () => Promise<void>;
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
      await session.connection.inTurn(TAKE_TURN, (ask) => this.#mustAllUse(ask, ring));
      await this.#rewrap(ring);
      await session.connection.inTurn(TAKE_TURN, async (ask) => {
        await this.#mustAllUse(ask, ring);
        await ask(FORGET, [ring.current.id, await wrappingKeys(ask)]);
      });
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

  async #mustAllUse(ask: Ask, ring: KeyRing): Promise<void> {
    const { id } = ring.current;
    const other = (await this.#others(ask)).find(({ keys }) => keys?.[0] !== id);
    if (other !== undefined)
      throw unequal(
        other,
        `does not use the key ${id} yet: give it the same file of keys, with that one first`,
      );
  }

  async #others(ask: Ask): Promise<readonly OtherNode[]> {
    const { node } = this.#parts.session;
    await ask(FENCE_SILENT, [node.id]);
    return await othersOf(ask, node.id, node.address);
  }

  async #rewrap(ring: KeyRing): Promise<void> {
    const { connection } = this.#parts.session;
    for (let after = 0; ; ) {
      const values = [after, Buffer.from(ring.current.id)];
      const some = await connection.read({ text: WRAPPED, values });
      const anew = some.flatMap((row) => {
        const place = wrappedKey(String(row.user_id));
        const dataKey = ring.unwrap(row.value, place); // one that is damaged stays so
        return dataKey === undefined ? [] : [{ ...row, anew: ring.wrap(dataKey, place) }];
      });
      const changed = [
        int8s(anew.map(({ doc }) => Number(doc))),
        byteas(anew.map(({ value }) => value)),
        byteas(anew.map((row) => row.anew)),
      ];
      if (anew.length > 0) await connection.change({ text: REWRAP, values: changed });
      if (some.length < AT_ONCE) return;
      after = Number(some.at(-1)?.doc);
    }
  }
}

const hasAll = (ring: KeyRing, used: readonly string[]): boolean => used.every((id) => ring.has(id));

/** Whether it opens what is there, and wraps with what the others have. */
const fits = (ring: KeyRing, used: readonly string[]): boolean =>
  hasAll(ring, used) && used.includes(ring.current.id);
