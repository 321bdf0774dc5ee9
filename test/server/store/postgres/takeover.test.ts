/** A user is taken over in two statements, a claim and then a read: what may come before, and between them. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import type { PostgresStore } from '../../../../server/store/postgres/postgres-store.js';
import { Author, notesOf, user, writeNotes } from '../../../support/notes.js';
import { PostgresFixture, type PostgresSchema, postgresUrl, withTrigger } from '../../../support/postgres.js';
import { PATIENCE } from '../../../support/wait.js';

/** Nobody beats by itself. */
const BEAT = 3_600_000;
const ANNA = user('anna');
const KEY = newKey();

const waiting = (schema: PostgresSchema, count: number): Promise<void> =>
  expect.poll(() => schema.waiting(), { timeout: PATIENCE }).toBe(count);

describe.skipIf(postgresUrl() === '')('PostgresStore takes a user from another server', () => {
  let fixture: PostgresFixture;
  let schema: PostgresSchema;
  let stores: PostgresStore[];
  let one: PostgresStore;
  let two: PostgresStore;

  const open = async (address: string, beforeWrite = async () => {}): Promise<PostgresStore> => {
    const store = await fixture.open({ address, beat: BEAT, keys: KeyRing.parse(KEY), beforeWrite });
    stores.push(store);
    return store;
  };
  const nodeOf = async (address: string): Promise<string> =>
    String((await schema.query('SELECT id FROM node WHERE address = $1', [address])).rows[0]?.id);

  beforeEach(async () => {
    fixture = await PostgresFixture.create();
    schema = fixture.schema;
    stores = [];
    one = await open('one');
    two = await open('two');
  });
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await fixture.remove();
  });

  /** Waits for nothing but what is kept, as the second statement does. */
  const holdReads = () => schema.hold('LOCK TABLE kept IN ACCESS EXCLUSIVE MODE');

  it('[N1] [P1] [P5] with all that a commit stores which the claim had to wait for, and the key of it', async () => {
    await one.load(ANNA);
    await withTrigger(fixture, 'INSERT ON update_row', 'PERFORM pg_advisory_xact_lock(1)', async () => {
      const rows = await schema.hold('SELECT pg_advisory_xact_lock(1)');
      // The commit has the row of the user, and waits to insert; a statement that began by now sees nothing of it.
      const saved = one.commit(ANNA, { update: new Author().set('late', 1), revision: 1 });
      await waiting(schema, 1);
      const taken = two.owner(ANNA, await nodeOf('one'));
      await waiting(schema, 2);
      await rows.release();
      await saved;
      expect(await taken).toBeNull();
    });
    expect(notesOf(await two.load(ANNA))).toEqual({ late: 1 });
  });

  it('[N2] one that a third server claims between them is that one’s, and the second is told so', async () => {
    await one.load(ANNA);
    const author = await writeNotes(one, ANNA, 1);
    const three = await open('three');
    const reads = await holdReads();
    const second = two.owner(ANNA, await nodeOf('one'));
    await waiting(schema, 1);
    const third = three.owner(ANNA, await nodeOf('two'));
    await waiting(schema, 2);
    await reads.release();
    expect(await second).toMatchObject({ address: 'three' });
    expect(await third).toBeNull();
    await three.load(ANNA);
    await three.commit(ANNA, { update: author.set('of three', 1), revision: 2 });
    await expect(two.confirm(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('[N1] [P1] one that is loaded by force is taken the same way, and nothing of it is shown', async () => {
    await one.load(ANNA);
    await writeNotes(one, ANNA, 1);
    await schema.query(`UPDATE node SET beat = beat - interval '1 minute' WHERE address = 'one'`);
    const three = await open('three');
    const reads = await holdReads();
    const second = expect(two.load(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await waiting(schema, 1);
    const third = three.owner(ANNA, await nodeOf('two'));
    await waiting(schema, 2);
    await reads.release();
    await second;
    expect(await third).toBeNull();
    expect(notesOf(await three.load(ANNA))).toEqual({ n0: 0 });
  });

  it('[P3] where the connections end between them, it claims again', async () => {
    await one.load(ANNA);
    const author = await writeNotes(one, ANNA, 1);
    const reads = await holdReads();
    const taken = expect(two.owner(ANNA, await nodeOf('one'))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    await waiting(schema, 1);
    await schema.cutConnections();
    await taken;
    await reads.release();
    await expect.poll(() => two.state, { timeout: PATIENCE }).toBe('ready');
    expect(await two.owner(ANNA)).toBeNull(); // its claim stands, and the one before has lost the user
    expect(notesOf(await two.load(ANNA))).toEqual({ n0: 0 });
    await two.commit(ANNA, { update: author.set('n1', 1), revision: 2 });
    await expect.poll(() => one.state, { timeout: PATIENCE }).toBe('ready');
    expect(await one.owner(ANNA)).toMatchObject({ address: 'two' });
  });

  it('[S4] where it is gone between them, the user goes to who asks next', async () => {
    await one.load(ANNA);
    await writeNotes(one, ANNA, 1);
    const reads = await holdReads();
    const taken = two.owner(ANNA, await nodeOf('one')).catch(() => null);
    await waiting(schema, 1);
    expect(await one.owner(ANNA).catch((error: unknown) => error)).toMatchObject({ address: 'two' });
    const back = one.owner(ANNA, await nodeOf('two'));
    await waiting(schema, 2);
    await reads.release();
    await taken;
    expect(await back).toBeNull();
    expect(notesOf(await one.load(ANNA))).toEqual({ n0: 0 });
  });

  /** A node that is stopped between the tombstone of an erasure and its claim, until it may go on. */
  async function openStopping() {
    let isHeld = (): void => {};
    const held = new Promise<void>((resolve) => {
      isHeld = resolve;
    });
    let goOn = (): void => {};
    const stopped = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let isErasing = false;
    const store = await open('three', async () => {
      if (!isErasing) return;
      isHeld();
      await stopped;
    });
    const eraseUntilStopped = async () => {
      isErasing = true;
      const refused = expect(store.erase(ANNA, Buffer.from('names no device of two'))).rejects;
      const erased = refused.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await held;
      return async () => {
        isErasing = false;
        goOn();
        await erased;
      };
    };
    return { store, eraseUntilStopped };
  }

  it('[P7] who had the user meanwhile may lack in the tombstone: the erasure is refused, and nothing is gone', async () => {
    const { store: three, eraseUntilStopped } = await openStopping();
    await three.load(ANNA);
    const author = await writeNotes(three, ANNA, 1);
    const refused = await eraseUntilStopped();
    await two.owner(ANNA, await nodeOf('three'));
    await two.load(ANNA);
    await two.commit(ANNA, { update: author.set('of two', 1), revision: 2 });
    two.forget(ANNA);
    await two.letGo(ANNA);
    await refused();
    expect(notesOf(await three.load(ANNA))).toEqual({ n0: 0, 'of two': 1 });
    await three.erase(ANNA, Buffer.from('names all'));
    expect(notesOf(await three.load(ANNA))).toEqual({});
  });

  it('[P7] so it is where the user, of whom nothing was stored, has another document by then', async () => {
    const { store: three, eraseUntilStopped } = await openStopping();
    await three.load(ANNA);
    const refused = await eraseUntilStopped();
    await two.owner(ANNA, await nodeOf('three'));
    await two.letGo(ANNA); // nothing stays of the first document, nor of its claims
    await two.load(ANNA);
    await two.commit(ANNA, { update: new Author().set('of two', 1), revision: 1 });
    two.forget(ANNA);
    await two.letGo(ANNA);
    await refused();
    expect(notesOf(await three.load(ANNA))).toEqual({ 'of two': 1 });
  });
});
