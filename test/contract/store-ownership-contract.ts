import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DiskPatience } from '../../server/store/disk-watch.js';
import type { Owner, Store } from '../../server/store/store.js';
import type { UserId } from '../../shared/names.js';
import { Author, notesOf, stateReached, user, writeNotes } from '../support/notes.js';

/** A store that several servers share, under test. */
export interface SharedStoreFixture {
  /** One more server. */
  open(address: string, how?: { readonly patience?: DiskPatience }): Promise<SharedStore>;
  /** This server is not heard of any more, and does not know it. */
  silence(address: string): Promise<void>;
  /** What a standby lacks that became the primary: the last commit of this user is gone. */
  rewind(user: UserId): Promise<void>;
  /** All connections are ended by the other side. */
  cutConnections(): Promise<void>;
  /** Nobody gets to write this document until `release`. */
  lock(user: UserId): Promise<{ release(): Promise<void> }>;
  remove(): Promise<void>;
}

export type SharedStore = Store & Required<Pick<Store, 'confirm' | 'owner' | 'letGo' | 'lost'>>;

const ANNA = user('anna');
const BERT = user('bert');

/** What a store promises that several servers share, clause by clause. */
export function ownershipContract(name: string, create: () => Promise<SharedStoreFixture>): void {
  describe(`the contract of a shared store: ${name}`, () => {
    let fixture: SharedStoreFixture;
    let one: SharedStore;
    let two: SharedStore;

    beforeEach(async () => {
      fixture = await create();
      one = await fixture.open('one');
      two = await fixture.open('two');
    });
    afterEach(async () => {
      await Promise.all([one.close(), two.close()]);
      await fixture.remove();
    });

    it('[N2] a user belongs to the server that loads first; the other one is refused, and told whose', async () => {
      await one.load(ANNA);
      await expect(two.load(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      expect(await two.owner(ANNA)).toMatchObject({ address: 'one' });
      expect(await one.owner(ANNA)).toBeNull();
      expect(await two.owner(BERT)).toBeNull();
      expect(await one.owner(BERT)).toMatchObject({ address: 'two' });
    });

    it('[N2] where two ask at once, each user has one owner', async () => {
      const users = Array.from({ length: 30 }, (_, index) => user(`u${index}`));
      const owners = await Promise.all(
        users.map(async (each) => {
          const loads = await Promise.allSettled([one.load(each), two.load(each)]);
          return loads.filter(({ status }) => status === 'fulfilled').length;
        }),
      );
      expect(owners).toEqual(users.map(() => 1));
    });

    it('[N2] who lets a user go, or closes, leaves the user to whoever loads next, with all that was saved', async () => {
      await one.load(ANNA);
      await writeNotes(one, ANNA, 3);
      await one.letGo(ANNA);
      await expect(two.load(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' }); // it is loaded still
      one.forget(ANNA);
      await one.letGo(ANNA);
      expect(notesOf(await two.load(ANNA))).toEqual({ n0: 0, n1: 1, n2: 2 });
      await two.close();
      expect(notesOf(await one.load(ANNA))).toEqual({ n0: 0, n1: 1, n2: 2 });
    });

    it('[N1] [P1] a server that was given up writes nothing more of the users it had, and shows nothing', async () => {
      await Promise.all([one.load(ANNA), one.load(BERT)]);
      const author = await writeNotes(one, ANNA, 2);
      await fixture.silence('one');
      await two.load(ANNA);
      await two.commit(ANNA, { update: author.set('of two', 1), revision: 3 });
      await one.confirm(BERT);
      await expect(one.confirm(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      const late = one.commit(ANNA, { update: author.set('of one', 1), revision: 3 });
      await expect(late).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await one.commit(BERT, { update: new Author().set('b', 1), revision: 1 });
      expect(notesOf(await two.load(ANNA))).toEqual({ n0: 0, n1: 1, 'of two': 1 });
      expect(one.state).toBe('ready');
    });

    it('[N1] so it is with what was handed over before, in one batch with others', async () => {
      await Promise.all([one.load(ANNA), one.load(BERT)]);
      await writeNotes(one, ANNA, 1);
      await fixture.silence('one');
      await two.load(ANNA);
      const author = new Author();
      const commits = [ANNA, BERT, ANNA].map((each, index) =>
        one.commit(each, { update: author.set(`k${index}`, 1), revision: index + 2 }),
      );
      const outcomes = await Promise.allSettled(commits);
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
    });

    it('[N2] what is shown is confirmed: by a server that has the user, not by one that has lost the user', async () => {
      await one.load(ANNA);
      const saved = one.commit(ANNA, { update: new Author().set('a', 1), revision: 1 });
      await Promise.all([one.confirm(ANNA), one.confirm(ANNA)]);
      await saved;
      await fixture.silence('one');
      await one.confirm(ANNA); // nobody has taken the user
      await two.load(ANNA);
      await expect(one.confirm(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await expect(one.load(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    });

    it('[N2] a server that can not be reached is relieved of the user who is asked for', async () => {
      await Promise.all([one.load(ANNA), one.load(BERT)]);
      const { node } = (await two.owner(ANNA)) as Owner;
      expect(await two.owner(ANNA, node)).toBeNull();
      await expect(one.confirm(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await one.confirm(BERT);
    });

    it('[N2] which of many users another server has taken is told at once, as is of whom nothing is known', async () => {
      const users = Array.from({ length: 30 }, (_, index) => user(`u${index}`));
      await Promise.all(users.map((each) => one.load(each)));
      await writeNotes(one, users[0] as UserId, 3);
      expect(await one.lost([])).toEqual([]);
      expect(await one.lost(users)).toEqual([]);
      const { node } = (await two.owner(users[7] as UserId)) as Owner;
      for (const each of [7, 23]) await two.owner(users[each] as UserId, node);
      expect([...(await one.lost([...users, ANNA]))].sort()).toEqual(['anna', 'u23', 'u7']);
      await fixture.silence('one');
      expect(await one.lost([users[0] as UserId])).toEqual([]); // nobody has taken it
      await two.load(users[0] as UserId);
      expect(await one.lost([users[0] as UserId])).toEqual([users[0]]);
    });

    it("[N2] a user who was claimed for a question is this node's until another one takes it, and is asked for again", async () => {
      expect(await one.owner(ANNA)).toBeNull();
      const node = ((await two.owner(ANNA)) as Owner).node;
      expect(await two.owner(ANNA, node)).toBeNull();
      expect(await one.owner(ANNA)).toMatchObject({ address: 'two' });
    });

    it('[P3] a load waits for a statement of before that was given up, and tells what became of it', async () => {
      const hasty = await fixture.open('hasty', { patience: { slow: 200, timeout: 600 } });
      await hasty.load(ANNA);
      const author = await writeNotes(hasty, ANNA, 1);
      const { release } = await fixture.lock(ANNA);
      const lost = hasty.commit(ANNA, { update: author.set('late', 1), revision: 2 });
      await expect(lost).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await stateReached(hasty, 'ready');
      const load = hasty.load(ANNA);
      await release();
      const { updates, revision } = await load;
      expect(updates).toHaveLength(revision);
      await hasty.commit(ANNA, { update: author.set('more', 1), revision: revision + 1 });
      expect((await hasty.load(ANNA)).updates).toHaveLength(revision + 1);
      await hasty.close();
    });

    it('[P1] a server that knows more than is stored writes nothing behind the gap', async () => {
      await one.load(ANNA);
      const author = await writeNotes(one, ANNA, 3);
      await fixture.rewind(ANNA);
      await expect(one.confirm(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      const late = one.commit(ANNA, { update: author.set('n3', 3), revision: 4 });
      await expect(late).rejects.toMatchObject({ code: 'NOT_SAVED' });
      expect(notesOf(await one.load(ANNA))).toEqual({ n0: 0, n1: 1 });
      await one.commit(ANNA, { ...author.snapshot(), revision: 3 });
    });

    it('[P3] where connections end, the store comes back by itself, and has all that it acknowledged', async () => {
      await one.load(ANNA);
      const author = new Author();
      let saved = 0;
      for (let round = 0; round < 3; round += 1) {
        const commits = Array.from({ length: 20 }, (_, index) =>
          one.commit(ANNA, { update: author.set(`r${round}`, index), revision: saved + index + 1 }),
        );
        await fixture.cutConnections();
        const outcomes = await Promise.allSettled(commits);
        const acknowledged = outcomes.filter(({ status }) => status === 'fulfilled').length;
        await stateReached(one, 'ready');
        const { revision, updates } = await loadedAgain(one, ANNA);
        expect(revision).toBeGreaterThanOrEqual(saved + acknowledged);
        expect(updates).toHaveLength(revision);
        saved = revision;
      }
    });
  });
}

/** The store may hear only now that a connection has ended. */
async function loadedAgain(store: Store, name: UserId): ReturnType<Store['load']> {
  for (;;) {
    try {
      return await store.load(name);
    } catch {
      await stateReached(store, 'ready');
    }
  }
}
