/** What one server has taken back holds at all of them, or they show and save nothing (A2). */
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import type { PostgresStore } from '../../../../server/store/postgres/postgres-store.js';
import { StoredRevocations } from '../../../../server/store/postgres/revocations.js';
import type { Session } from '../../../../server/store/postgres/session.js';
import { stateReached, user } from '../../../support/notes.js';
import { PostgresFixture, postgresUrl } from '../../../support/postgres.js';
import { PATIENCE } from '../../../support/wait.js';

const ANNA = user('anna');
const NEVER = 3_600_000;
const WAITING = `SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`;

describe.skipIf(postgresUrl() === '')('revocations of several servers', () => {
  let fixture: PostgresFixture;
  const stores: PostgresStore[] = [];
  beforeEach(async () => {
    fixture = await PostgresFixture.create();
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
    await fixture.remove();
  });

  /** @param beat from one look to the next, too */
  async function node(
    address: string,
    beat: number,
    revocationPatience = 300,
  ): Promise<{ store: PostgresStore; lines: string[] }> {
    const store = await fixture.open({ address, beat, revocationPatience });
    stores.push(store);
    const lines: string[] = [];
    await store.revocations.follow((line) => lines.push(line));
    return { store, lines };
  }

  it('[A2] each has taken one when it is answered, and one that starts later has all', async () => {
    const [one, two] = [await node('one', 20), await node('two', 20)];
    await one.store.revocations.add('a');
    expect(two.lines).toEqual(['a']);
    await Promise.all(['b', 'c', 'd'].map((line) => one.store.revocations.add(line)));
    expect([...two.lines].sort()).toEqual(['a', 'b', 'c', 'd']);
    expect([...(await node('three', 20)).lines].sort()).toEqual(['a', 'b', 'c', 'd']);
    expect([one.store.state, two.store.state]).toEqual(['ready', 'ready']);
  });

  it('[A2] [N2] one that does not take it in time shows nothing from then on', async () => {
    const [one, mute] = [await node('one', 20), await node('two', NEVER)];
    await mute.store.load(ANNA);
    await mute.store.confirm(ANNA);
    await one.store.revocations.add('a');
    expect(mute.lines).toEqual([]);
    await expect(mute.store.confirm(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('[A2] one that was not heard of for long is not waited for, and shows nothing either', async () => {
    const [one, stopped] = [await node('one', 20), await node('two', NEVER)];
    await stopped.store.load(ANNA);
    await fixture.schema.query(`UPDATE node SET beat = beat - interval '1 minute' WHERE address = 'two'`);
    await one.store.revocations.add('a');
    await expect(stopped.store.confirm(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('[A2] who fences takes the nodes in the order of their ids, so that two who do wait in a line', async () => {
    const [one, low, high] = [await node('one', NEVER), await node('two', NEVER), await node('three', NEVER)];
    expect([low.lines, high.lines]).toEqual([[], []]);
    // The row that was changed last lies behind the other one, where a scan comes to it last.
    await fixture.schema.query(`UPDATE node SET beat = beat - interval '1 minute' WHERE address = 'three'`);
    await fixture.schema.query(`UPDATE node SET beat = beat - interval '1 minute' WHERE address = 'two'`);
    const other = new pg.Client({ connectionString: fixture.schema.ownUrl });
    await other.connect();
    try {
      await other.query(`BEGIN; SELECT id FROM node WHERE address = 'two' FOR UPDATE`);
      const added = one.store.revocations.add('a');
      await expect
        .poll(async () => (await other.query(WAITING, [fixture.schema.name])).rowCount, { timeout: PATIENCE })
        .toBeGreaterThan(0);
      await other.query(`SELECT id FROM node WHERE address = 'three' FOR UPDATE NOWAIT`);
      await other.query('COMMIT');
      await added;
    } finally {
      await other.end();
    }
  });

  it('[A2] one that was fenced has taken all before it goes on', async () => {
    const one = await node('one', NEVER);
    const two = await fixture.open({ address: 'two', beat: 20 });
    stores.push(two);
    const lines: string[] = [];
    const states: [string, number][] = [];
    await two.revocations.follow((line) => lines.push(line));
    two.onState((state) => states.push([state, lines.length]));
    two.revocations.close(); // as if its looks were late
    await one.store.revocations.add('a');
    await expect
      .poll(() => states, { timeout: PATIENCE })
      .toEqual([
        ['reopening', 0],
        ['ready', 1],
      ]);
  });

  /** As on a standby that takes over without the last one, and without what was said of it. */
  const loseLast = () =>
    fixture.schema.query(`
      DELETE FROM revocation WHERE seq = (SELECT seq FROM revocation_count);
      UPDATE revocation_count SET seq = seq - 1;
      UPDATE node SET revoked = revoked - 1`);

  it.each(['that was heard of all the time', 'that was fenced'])(
    '[A2] what is counted anew, in the place of one that a standby did not have, is taken by one %s',
    async (which) => {
      const isFenced = which.endsWith('fenced');
      const [one, two] = [await node('one', 20, 5_000), await node('two', 20, 5_000)];
      for (const line of ['a', 'lost']) await one.store.revocations.add(line);
      expect(two.lines).toEqual(['a', 'lost']);
      await loseLast();
      const reopened = isFenced ? [two] : [one, two];
      const back = reopened.map(({ store }) =>
        stateReached(store, 'reopening').then(() => stateReached(store, 'ready')),
      );
      if (isFenced) await fixture.schema.query(`UPDATE node SET fenced = true WHERE address = 'two'`);
      else await fixture.schema.cutConnections();
      await Promise.all(back);
      await one.store.revocations.add('b');
      expect(two.lines).toContain('b');
      const gone = await fixture.schema.query('SELECT id FROM node WHERE fenced');
      expect(gone.rowCount).toBe(isFenced ? 1 : 0);
    },
  );
});

test('[A2] a look that began before all are asked for anew passes over none that are counted anew', async () => {
  let rows = ['1', '2'].map((seq) => ({ seq, line: `line ${seq}` }));
  const held: (() => void)[] = [];
  let isHeld = false;
  const read = async ({ text, values }: { text: string; values: unknown[] }) => {
    if (!text.startsWith('SELECT')) return [];
    const found = rows.filter(({ seq }) => Number(seq) > Number(values[0]));
    if (isHeld) await new Promise<void>((resolve) => held.push(resolve));
    return found;
  };
  const session = { connection: { read }, node: { id: 1 } } as unknown as Session;
  const revocations = new StoredRevocations(session, { beat: NEVER });
  const lines: string[] = [];
  await revocations.follow((line) => lines.push(line));
  revocations.close();
  // A standby without the second one has taken over, and counts two others.
  rows = [...rows.slice(0, 1), { seq: '2', line: 'anew 2' }, { seq: '3', line: 'anew 3' }];
  isHeld = true;
  const before = revocations.look();
  const anew = revocations.lookAnew();
  const [answerBefore, answerAnew] = held;
  answerBefore?.();
  await before;
  answerAnew?.();
  await anew;
  expect(lines).toContain('anew 2');
  expect(lines).toContain('anew 3');
});
