/** What must hold of every update, however it came about. */
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import type { Admission } from '../../server/documents/intake/admission.js';
import { Replica } from '../../server/documents/replica.js';
import { SyncError } from '../../server/errors.js';

export type Outcome = 'refused' | 'waits' | 'empty' | 'applied';

const OPTIONS = {
  ids: () => ({ writes: 4_000_000_001, unions: 4_000_000_002 }),
  now: () => 0,
  maxDepth: 64,
  keepFor: 86_400_000,
  maxStructs: 500_000,
  maxDeleteRanges: 100_000,
};
/** Beyond this many ms, what was taken for cheap was not; generous, since other programs run beside. */
const LONGEST = 1_000;

class Broken extends Error {}

export function must(holds: boolean, what: string): void {
  if (!holds) throw new Broken(what);
}

/**
 * Throws where something does not hold.
 *
 * @param epoch of a document that was written anew
 */
export function outcomeOf(
  base: readonly Uint8Array[],
  update: Uint8Array,
  epoch: Uint8Array | null = null,
): Outcome {
  const replica = new Replica({ updates: base, memory: null, epoch }, OPTIONS);
  replica.images.complete();
  let admission: Admission;
  try {
    admission = replica.check(update);
  } catch (error) {
    if (error instanceof SyncError) return 'refused';
    throw error;
  }
  if (admission.kind === 'empty') return 'empty';
  if (admission.kind === 'missing') return 'waits';
  const began = process.cpuUsage();
  const written = replica.apply(admission, { saw: null });
  const isCheap = process.cpuUsage(began).user < LONGEST * 1_000;
  must(admission.kind === 'expensive' || isCheap, 'it is cheap');
  checkAfterwards(replica, base, written.update);
  return 'applied';
}

function checkAfterwards(replica: Replica, base: readonly Uint8Array[], update: Uint8Array | null): void {
  const { doc, epoch } = replica;
  for (const client of doc.store.clients.keys())
    must(epoch?.retires(client) !== true, 'nothing of an old document comes back');
  must(doc.store.pendingStructs === null && doc.store.pendingDs === null, 'nothing is pending');
  const later = replica.write(() => doc.getMap('patients').set('later', new Y.Map([['n', 1]])));
  must(later.update !== null, 'later edits are emitted');
  const other = new Y.Doc();
  for (const each of [...base, update, later.update]) if (each !== null) Y.applyUpdate(other, each);
  must(equalityDeep(jsonOf(other), jsonOf(doc)), 'a second replica has the same');
  const whole = new Y.Doc();
  Y.applyUpdate(whole, Y.encodeStateAsUpdate(doc));
  must(equalityDeep(jsonOf(whole), jsonOf(doc)), 'a fresh replica has the same');
}

function jsonOf(doc: Y.Doc): unknown {
  const names = [...doc.share.keys()].sort();
  return names.map((name) => [name, doc.getMap(name).toJSON()]).filter(([, records]) => !isEmpty(records));
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
