/** A document that is rewritten has the same living content, and nothing else. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { rewritten, writtenAnew } from '../../../../server/documents/epochs/rewrite.js';
import { countStructs, LivingSize } from '../../../../server/documents/intake/living-size.js';
import { RecordImages } from '../../../../server/documents/records/record-images.js';
import { docsOf, edits } from '../../../support/edited-docs.js';
import { histories, lived } from '../../../support/lived.js';
import { jsonOfDoc } from '../../../support/replicas.js';
import { runs } from '../../../support/runs.js';

const FRESH = 4_000_000_009;

/** All that an app can read of a value, kinds and order included. */
function shown(value: unknown): unknown {
  if (value instanceof Y.Text) {
    const delta = value.toDelta() as { insert: unknown; attributes?: object }[];
    const parts = delta.map(({ insert, attributes }) => [shown(insert), attributes]);
    return [value.constructor.name, parts, value.getAttributes()];
  }
  if (value instanceof Y.Map) return ['map', [...value.entries()].map(([key, each]) => [key, shown(each)])];
  if (value instanceof Y.XmlElement)
    return ['element', value.nodeName, value.getAttributes(), value.toArray().map(shown)];
  if (value instanceof Y.XmlFragment) return ['fragment', value.toArray().map(shown)];
  return value instanceof Y.Array ? ['array', value.toArray().map(shown)] : value;
}

const rootsOf = (doc: Y.Doc) =>
  [...doc.share.keys()].sort().map((name) => [name, shown(doc.getMap(name))] as const);

function afterAWrite(old: Y.Doc): Y.Doc {
  for (const name of old.share.keys()) old.getMap(name);
  const before = rootsOf(old);
  const made = rewritten(old, FRESH);
  const loaded = new Y.Doc();
  Y.applyUpdate(loaded, Y.encodeStateAsUpdate(made));
  for (const doc of [made, loaded]) expect(rootsOf(doc)).toEqual(before);
  expect(rootsOf(old)).toEqual(before);
  expect(new RecordImages(loaded).collections()).toEqual(new RecordImages(old).collections());
  expect([...loaded.store.clients.keys()].filter((client) => client !== FRESH)).toEqual([]);
  const emptied = [...old.share.keys()].filter((name) => old.getMap(name).size === 0).length;
  expect(countStructs(loaded)).toBeLessThanOrEqual(new LivingSize(old).structs + emptied);
  return loaded;
}

describe('[P10] a rewritten document', () => {
  test('has texts with formats and embeds, XML and any values as they were', () => {
    let structs = 0;
    fc.assert(
      fc.property(edits, (made) => {
        for (const doc of docsOf(made)) structs += countStructs(afterAWrite(doc));
      }),
      { numRuns: runs(200) },
    );
    expect(structs).toBeGreaterThan(0);
  });

  test('has what was created apart and united, moved, deleted, and written as JSON', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const { doc } = lived(history, 0).server.replica;
        afterAWrite(doc);
      }),
      { numRuns: runs(60) },
    );
  });

  test('has types inside texts, lists of lists, fields of lists, and kinds that only other clients write', () => {
    const doc = new Y.Doc();
    const record = doc.getMap('notes').set('n', new Y.Map()) as Y.Map<unknown>;
    const text = record.set('text', new Y.Text()) as Y.Text;
    text.insertEmbed(0, new Y.Map([['inner', 1]]) as unknown as object, { bold: true });
    text.insert(1, 'line\n\n', { bold: { deep: true } });
    text.setAttribute('align', 'left');
    const list = record.set('list', new Y.Array<unknown>()) as Y.Array<unknown>;
    list.push([1, 'two', [3], { four: 4 }, null, new Uint8Array([5]), Y.Array.from([Y.Array.from([6])])]);
    const xml = record.set('xml', new Y.XmlFragment()) as Y.XmlFragment;
    const element = new Y.XmlElement('p');
    const words = new Y.XmlText('words');
    xml.insert(0, [element]);
    element.insert(0, [words, new Y.XmlElement('br')]);
    element.setAttribute('class', 'lead');
    words.format(0, 2, { em: {} });
    const hook = new Y.XmlHook('chart');
    hook.set('kind', 'pie');
    xml.insert(1, [hook as unknown as Y.XmlElement]);
    const loaded = afterAWrite(doc);
    const of = (each: Y.Doc) => (each.getMap('notes').get('n') as Y.Map<unknown>).get('xml');
    expect(String(of(loaded))).toBe(String(of(doc)));
    const hookOf = (of(loaded) as Y.XmlFragment).get(1) as unknown as Y.XmlHook;
    expect([hookOf.hookName, hookOf.get('kind')]).toEqual(['chart', 'pie']);
  });

  test('has roots that are no maps, which came from other servers', () => {
    const doc = new Y.Doc();
    doc.getText('pad').insert(0, 'hello', { bold: true });
    doc.getArray('list').push([1, 2]);
    const old = new Y.Doc();
    Y.applyUpdate(old, Y.encodeStateAsUpdate(doc));
    for (const name of old.share.keys()) old.getMap(name);
    const update = Y.encodeStateAsUpdate(rewritten(old, FRESH));
    const read = new Y.Doc();
    Y.applyUpdate(read, update);
    expect(read.getText('pad').toDelta()).toEqual(doc.getText('pad').toDelta());
    expect(read.getArray('list').toJSON()).toEqual([1, 2]);
  });

  test('still shows a collection that has no record any more', () => {
    const doc = new Y.Doc();
    doc.getMap('notes').set('n', new Y.Map());
    doc.getMap('notes').delete('n');
    const loaded = afterAWrite(doc);
    expect([...loaded.share.keys()]).toEqual(['notes']);
    expect(jsonOfDoc(loaded)).toEqual({});
  });

  test('has nothing of what was overwritten or deleted, and one id in place of many', () => {
    const doc = new Y.Doc();
    for (let n = 0; n < 300; n++) {
      doc.clientID = n + 1;
      doc.getMap<Y.Map<unknown>>('notes').set(`n${n % 3}`, new Y.Map([['secret', `overwritten ${n}`]]));
    }
    const bytes = Buffer.from(Y.encodeStateAsUpdate(rewritten(doc, FRESH)));
    expect(bytes.includes('overwritten 299')).toBe(true);
    expect(bytes.includes('overwritten 296')).toBe(false);
    expect(bytes.length).toBeLessThan(150);
  });

  test('names the same sub-documents, which came from other servers', () => {
    const doc = new Y.Doc();
    const pages = [
      new Y.Doc({ guid: 'page-1' }),
      new Y.Doc({ guid: 'page-2', autoLoad: true, meta: { n: 2 } }),
    ];
    doc.getMap('notes').set('n', new Y.Map([['pages', Y.Array.from(pages)]]));
    const old = new Y.Doc();
    Y.applyUpdate(old, Y.encodeStateAsUpdate(doc));
    for (const name of old.share.keys()) old.getMap(name);
    const { update } = writtenAnew(old, FRESH);
    const read = new Y.Doc();
    Y.applyUpdate(read, update);
    const found = (read.getMap('notes').get('n') as Y.Map<Y.Array<Y.Doc>>).get('pages')?.toArray() ?? [];
    expect(found.map(({ guid, autoLoad, meta }) => ({ guid, autoLoad, meta }))).toEqual([
      { guid: 'page-1', autoLoad: false, meta: null },
      { guid: 'page-2', autoLoad: true, meta: { n: 2 } },
    ]);
  });

  test('is not made of one that waits for something, or has the id already', () => {
    const [whole, waiting] = [new Y.Doc(), new Y.Doc()];
    whole.getMap('notes').set('a', 1);
    const first = Y.encodeStateVector(whole);
    whole.getMap('notes').set('b', 2);
    Y.applyUpdate(waiting, Y.encodeStateAsUpdate(whole, first));
    expect(() => rewritten(waiting, FRESH)).toThrow('waits');
    expect(() => rewritten(whole, whole.clientID)).toThrow('client id');
  });
});
