import * as Y from 'yjs';
import { MANY_CLIENTS } from '../../server/documents/epochs/document-rewriting.js';
import { unnamedDoc } from './replicas.js';

const FIRST_START = 5_000_000;

/** Notes of somebody whose app took a new client id at each of its starts: as many as make a rewrite due (P10). */
export function longLived(starts = MANY_CLIENTS + 1, first = FIRST_START): Y.Doc {
  const doc = unnamedDoc();
  // In one transaction: each passes by all ids that there are.
  doc.transact(() => {
    for (let start = 0; start < starts; start++) {
      doc.clientID = first + start;
      doc.getMap('notes').set(`n${start % 7}`, new Y.Map([['text', `of start ${start}`]]));
    }
  });
  doc.clientID = first + starts;
  return doc;
}
