/** What one session has goes to another one: to that of another user, or to the one that follows it. */
import * as Y from 'yjs';
import type { PendingChange } from '../connection/sync-source.js';
import type { Replica } from '../replica/replica.js';
import { type SessionOptions, UserSession } from './user-session.js';

const nothing = (): void => {};

/** All data becomes pending changes of another user, who is not open; a second call changes nothing more. */
export async function copyUser(from: UserSession, options: SessionOptions): Promise<void> {
  const quiet = {
    onStatus: nothing,
    onSynced: nothing,
    onStorage: nothing,
    onCleared: nothing,
    onBroken: nothing,
    onErased: nothing,
  };
  const to = await UserSession.open({ ...options, ...quiet });
  try {
    for (const [own, other] of pairs(from, to)) await copy(own, other);
  } finally {
    await to.close();
  }
}

/** What one has in memory only, or (`all`) all that it has pending, is written in the other one, where both are there. */
export async function copyPending(
  from: UserSession | null,
  to: UserSession | null,
  all: boolean,
): Promise<void> {
  if (from === null || to === null) return;
  for (const [own, other] of pairs(from, to)) {
    const take = ({ update, madeAt }: PendingChange): Promise<void> =>
      other.write((doc) => Y.applyUpdate(doc, update), madeAt ?? undefined);
    await Promise.all((all ? own.pendingAfter(0) : own.unstored).map(take));
  }
}

/** The documents that both have. */
const pairs = (from: UserSession, to: UserSession): [Replica, Replica][] =>
  from.replicas.flatMap((own, n) => {
    const other = to.replicas[n];
    return other === undefined ? [] : [[own, other]];
  });

/** All of it becomes one change of another document; rejects where that could not be stored. */
async function copy(from: Replica, to: Replica): Promise<void> {
  await from.write(() => {}); // resolves when all writes so far, and what other tabs stored, are in the document
  if (from.storageError !== null) throw from.storageError; // they are not all in it, and would be deleted
  const update = from.content;
  await to.write((doc) => Y.applyUpdate(doc, update));
  if (to.storageError !== null) throw to.storageError;
  await to.refused.add(from.refused.changes.all);
}
