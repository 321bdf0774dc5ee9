/**
 * Applies the stored updates of a document in short steps. A large one is cut, and its parts still count as one
 * transaction of Yjs: what is collected and joined depends on where one ends and the next begins.
 */
import * as Y from 'yjs';
import { SyncError } from '../../errors.js';
import { StructTable } from '../../protocol/struct-table.js';
import { cutInSteps } from '../intake/cut.js';
import type { PartSize } from '../intake/parts.js';
import { OpenTransaction } from '../open-transaction.js';

/** What a step holds at most; it takes a ms, and several times that before the code is compiled. */
const SIZE: PartSize = { structs: 256, bytes: 16 * 1_024, deletions: 1_024 };

/** An update that is smaller than so many parts is applied at once: to cut it costs as much again. */
const FEW_PARTS = 4;

/** What a small update costs beside its bytes, told in bytes: for itself, and for each client of the document. */
const PER_UPDATE = 1_024;
const PER_CLIENT = 8;

export function* applyInSteps(doc: Y.Doc, updates: readonly Uint8Array[], size = SIZE): Generator<void> {
  const table = new StructTable();
  let work = 0;
  for (const update of updates) {
    if (update.length > FEW_PARTS * size.bytes) yield* applyCut(doc, update, table, size);
    else Y.applyUpdate(doc, update);
    work += Math.min(update.length, size.bytes) + PER_UPDATE + PER_CLIENT * doc.store.clients.size;
    if (work < size.bytes) continue;
    work = 0;
    yield;
  }
}

function* applyCut(doc: Y.Doc, update: Uint8Array, table: StructTable, size: PartSize): Generator<void> {
  const whole = new OpenTransaction(doc, false);
  const apply = (part: Uint8Array) => whole.within(() => Y.applyUpdate(doc, part));
  try {
    for (const part of cutInSteps(update, table, size)) {
      if (part !== null) apply(part);
      yield;
    }
  } catch (error) {
    // What can't be cut, as nobody but a foreign server writes it, is for Yjs to read; what is there, it passes over.
    if (!(error instanceof SyncError)) throw error;
    apply(update);
  }
  whole.end();
}
