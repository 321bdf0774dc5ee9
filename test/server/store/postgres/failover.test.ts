/** A standby that takes over without the last of what was stored: its counters go on from before that. */
import { expect } from 'vitest';
import { Author, notesOf, stateReached, user } from '../../../support/notes.js';
import { PostgresFixture, withPostgres } from '../../../support/postgres.js';

const [ANNA, BERT] = [user('anna'), user('bert')];

/** As on a standby that did not have this user, the newest, yet. */
const FORGET = `
WITH d AS (DELETE FROM document WHERE user_id = $1 RETURNING doc),
     u AS (DELETE FROM update_row USING d WHERE update_row.doc = d.doc)
SELECT setval(pg_get_serial_sequence('document', 'doc'), doc, false) FROM d`;

withPostgres(
  '[P1] what is held of a user who is gone is not written into the document that got the number',
  async () => {
    const fixture = await PostgresFixture.create();
    const store = await fixture.open({ beat: 20 });
    try {
      const [anna, bert] = [new Author(), new Author()];
      await store.load(ANNA);
      for (const n of [1, 2]) await store.commit(ANNA, { update: anna.set('anna', n), revision: n });
      await fixture.schema.query(FORGET, [ANNA]);
      const reopened = stateReached(store, 'reopening').then(() => stateReached(store, 'ready'));
      await fixture.schema.cutConnections();
      await reopened;
      await store.load(BERT);
      for (const n of [1, 2]) await store.commit(BERT, { update: bert.set('bert', n), revision: n });
      const late = store.commit(ANNA, { update: anna.set('anna', 3), revision: 3 });
      await expect(late).rejects.toMatchObject({ code: 'NOT_SAVED' });
      expect(notesOf(await store.load(BERT))).toEqual({ bert: 2 });
      expect((await store.load(ANNA)).revision).toBe(0);
    } finally {
      await store.close();
      await fixture.remove();
    }
  },
);
