import * as Y from 'yjs';

/** A document of so many patients. */
export function docOf(records: number): Y.Doc {
  const doc = new Y.Doc();
  doc.transact(() => {
    for (let n = 0; n < records; n++)
      doc.getMap('patients').set(`p${n}`, new Y.Map([['name', `the name of patient ${n}`]]));
  });
  return doc;
}
