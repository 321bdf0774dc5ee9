import * as Y from 'yjs';
import { isCollectionName, isRecordId } from '../../shared/names.js';
import { assignRecord, readRecord, recordMap } from '../../shared/records.js';

/**
 * Of two records that two tabs created apart Yjs keeps one. What the other tab's had besides, by its `updates`, is
 * written into the one that stayed: the server would do so, but perhaps much later (D4).
 */
export function bringBack(doc: Y.Doc, updates: readonly Uint8Array[]): void {
  const other = new Y.Doc();
  for (const update of updates) Y.applyUpdate(other, update);
  for (const name of other.share.keys()) {
    if (!isCollectionName(name)) continue;
    for (const [id, theirs] of other.getMap(name)) {
      if (!isRecordId(id) || !(theirs instanceof Y.Map)) continue;
      const stayed = recordMap(doc, name, id);
      if (stayed === null || isSame(stayed, theirs)) continue;
      const current = readRecord(stayed, id);
      assignRecord(stayed, { ...readRecord(theirs, id), ...current }, current);
    }
  }
}

function isSame({ _item: a }: Y.Map<unknown>, { _item: b }: Y.Map<unknown>): boolean {
  return a !== null && b !== null && Y.compareIDs(a.id, b.id);
}
