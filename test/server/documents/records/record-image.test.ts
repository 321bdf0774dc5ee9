import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import {
  type RecordImage,
  readImage,
  readImageFields,
  sameImage,
  writeImage,
} from '../../../../server/documents/records/record-image.js';
import type { CollectionName, RecordId } from '../../../../shared/names.js';
import { readRecord, sharedValue } from '../../../../shared/records.js';
import { docsOf, edits } from '../../../support/edited-docs.js';
import { runs } from '../../../support/runs.js';

const PATIENTS = 'patients' as CollectionName;
const ids = ['r1', 'r2'] as RecordId[];

const recordAt = (doc: Y.Doc, id: string) => doc.getMap(PATIENTS).get(id) as Y.Map<unknown>;

function imagesOf(doc: Y.Doc): RecordImage[] {
  return ids.flatMap((id) => (doc.getMap(PATIENTS).has(id) ? [readImage(recordAt(doc, id), id)] : []));
}

/** A record that is set up by `fill`, in a document of its own. */
function recordWith(fill: (map: Y.Map<unknown>) => void): Y.Map<unknown> {
  const doc = new Y.Doc();
  const map = new Y.Map<unknown>();
  doc.transact(() => fill(doc.getMap<Y.Map<unknown>>(PATIENTS).set('r1', map)));
  return map;
}

const imageOf = (fill: (map: Y.Map<unknown>) => void) => readImage(recordWith(fill), 'r1' as RecordId);

function written(image: RecordImage, doc = new Y.Doc(), id = 'r1' as RecordId): Y.Map<unknown> {
  writeImage(doc, PATIENTS, id, image);
  return recordAt(doc, id);
}

function updatesDuring(doc: Y.Doc, run: () => void): number {
  let updates = 0;
  doc.on('update', () => updates++);
  run();
  return updates;
}

const reloaded = (doc: Y.Doc): Y.Doc => {
  const other = new Y.Doc();
  Y.applyUpdate(other, Y.encodeStateAsUpdate(doc));
  return other;
};

const thereAndBack = (image: RecordImage) => JSON.parse(JSON.stringify(image)) as RecordImage;

const same = (a: RecordImage | null | undefined, b: RecordImage | null | undefined) =>
  expect(sameImage(a ?? null, b ?? null), `${JSON.stringify(a)}\n${JSON.stringify(b)}`).toBe(true);

/** Something of every kind that a native device may store. */
function fillWithEverything(map: Y.Map<unknown>): void {
  map.set('shared', sharedValue({ list: [1, { deep: null }], text: 'x' }));
  map.set('text', new Y.Text('20 mg'));
  map.set('plain', { list: [1, { bytes: Uint8Array.of(0) }], gone: undefined, nan: Number.NaN, 'a/~b': 2n });
  map.set('plainList', [[]]);
  map.set('bytes', Uint8Array.of(1, 255));
  map.set('big', -(2n ** 63n));
  map.set('infinite', Number.NEGATIVE_INFINITY);
  map.set('a/~b', new Y.Text('a path'));
  const rich = new Y.Text('rich');
  map.set('rich', rich);
  rich.format(0, 2, { bold: true });
  rich.insertEmbed(2, { image: 'x' });
  rich.insertEmbed(3, new Y.Map([['table', new Y.Text('cell')]]));
  rich.setAttribute('dir', 'rtl');
  const element = new Y.XmlElement('Dose');
  element.setAttribute('mg', 20 as unknown as string);
  element.insert(0, [
    new Y.XmlText('text'),
    new Y.XmlElement('br'),
    new Y.XmlHook('hook') as unknown as Y.XmlText,
  ]);
  const fragment = new Y.XmlFragment();
  fragment.insert(0, [element]);
  map.set('xml', fragment);
  const hook = new Y.XmlHook('chart');
  hook.set('text', new Y.Text('in a hook'));
  map.set('list', Y.Array.from([hook, new Y.Text('t'), new Y.XmlText('x')] as unknown as string[]));
}

describe('[H6] reading', () => {
  test('a record of strings, numbers, objects and arrays has no marks', () => {
    const json = { id: 'r1', name: 'x', n: 1.5, o: { list: [{ id: 'a', z: null }], b: true }, e: {}, l: [] };
    expect(imageOf((map) => Object.entries(json).map(([k, v]) => map.set(k, sharedValue(v))))).toEqual({
      json,
      types: null,
    });
  });

  test('what JSON does not say is marked', () => {
    const image = imageOf((map) => {
      fillWithEverything(map);
      map.set('id', 'r1');
    });
    expect(image.types).toMatchObject({
      '/text': 'text',
      '/plain': 'plain',
      '/plain/list/1/bytes': 'bytes',
      '/plain/gone': 'undefined',
      '/plain/nan': 'NaN',
      '/plain/a~1~0b': 'bigint',
      '/plainList': 'plain',
      '/bytes': 'bytes',
      '/big': 'bigint',
      '/infinite': '-Infinity',
      '/a~1~0b': 'text',
      '/rich': { kind: 'text', attributes: { dir: 'rtl' } },
      '/xml': { kind: 'fragment' },
      '/list/0': { kind: 'hook', name: 'chart' },
      '/list/0/text': 'text',
      '/list/1': 'text',
      '/list/2': { kind: 'xmlText', runs: [['x', {}]] },
    });
    expect(Object.keys(image.types ?? {})).toHaveLength(17);
  });

  test('the JSON is that of readRecord, and the image the same however the document came to be', () => {
    fc.assert(
      fc.property(edits, (made) => {
        const docs = docsOf([...made, { kind: 'meet', device: 0 } as (typeof made)[number]]);
        const [first = [], ...others] = [...docs, ...docs.map(reloaded)].map(imagesOf);
        for (const image of first) {
          const id = String(image.json.id);
          expect(image.json).toEqual(readRecord(recordAt(docs[0] as Y.Doc, id), id as RecordId));
        }
        for (const images of others) for (const [index, image] of images.entries()) same(image, first[index]);
      }),
      { numRuns: runs(1_000) },
    );
  });

  test('only the fields that are named are read again', () => {
    fc.assert(
      fc.property(edits, edits, (made, more) => {
        const [before] = docsOf(made);
        const [after] = docsOf([...made, ...more]);
        for (const id of ids) {
          const [old, map] = [recordAt(before as Y.Doc, id), recordAt(after as Y.Doc, id)];
          if (old === undefined) continue;
          const fields = new Set(['id', ...old.keys(), ...map.keys()]);
          same(readImageFields(readImage(old, id), map, id, fields), readImage(map, id));
        }
      }),
      { numRuns: runs(500) },
    );
    const map = recordWith(fillWithEverything);
    const image = readImage(map, 'r1' as RecordId);
    map.set('text', 'plain');
    map.delete('xml');
    map.set('id', 'r1');
    const next = readImageFields(image, map, 'r1' as RecordId, new Set(['text', 'xml', 'id', 'none']));
    same(next, readImage(map, 'r1' as RecordId));
    expect(next.json.shared).toBe(image.json.shared);
    expect(sameImage(next, image)).toBe(false);
    expect(readImageFields(next, map, 'r1' as RecordId, new Set(['text', 'xml', 'id', 'none']))).toBe(next);
    const kept = Object.keys(image.json).filter((field) => field !== 'xml');
    expect(Object.keys(next.json), 'fields keep their places').toEqual(kept);
  });

  test('an image is the same only with the same types', () => {
    const [text, string] = [new Y.Text('x'), 'x'].map((value) => imageOf((map) => map.set('a', value)));
    expect(sameImage(text as RecordImage, string as RecordImage)).toBe(false);
    expect(sameImage(null, string as RecordImage)).toBe(false);
    expect(sameImage(null, null)).toBe(true);
  });
});

describe('[H6] writing', () => {
  test('a record comes back with its types, also from storage, and to write it again is no change', () => {
    fc.assert(
      fc.property(edits, (made) => {
        for (const image of docsOf(made).flatMap(imagesOf)) {
          const doc = new Y.Doc();
          const id = image.json.id as RecordId;
          same(readImage(written(thereAndBack(image), doc, id), id), image);
          expect(updatesDuring(doc, () => written(image, doc, id))).toBe(0);
          same(imagesOf(reloaded(doc))[0], image);
        }
      }),
      { numRuns: runs(500) },
    );
  });

  test('everything that there is comes back', () => {
    const map = recordWith(fillWithEverything);
    const image = readImage(map, 'r1' as RecordId);
    const copy = written(thereAndBack(image));
    same(readImage(copy, 'r1' as RecordId), image);
    expect(copy.toJSON().plain).toEqual(map.toJSON().plain);
    expect((copy.get('rich') as Y.Text).toDelta()[0]).toEqual({ insert: 'ri', attributes: { bold: true } });
    same(readImage(map, 'r1' as RecordId), image); // reading took nothing out of it
    expect(updatesDuring(map.doc as Y.Doc, () => written(image, map.doc as Y.Doc))).toBe(0);
  });

  test('any record over any other', () => {
    fc.assert(
      fc.property(edits, edits, (made, more) => {
        const docs = docsOf(made);
        const images = docsOf([...made, ...more]).flatMap(imagesOf);
        for (const doc of docs) {
          for (const image of images) {
            const map = written(image, doc, image.json.id as RecordId);
            same(readImage(map, image.json.id as RecordId), image);
          }
        }
      }),
      { numRuns: runs(500) },
    );
  });

  test('what stays of its kind stays the same type, and only what differs is written', () => {
    const map = recordWith((record) => {
      fillWithEverything(record);
      record.set(
        'items',
        sharedValue([
          { id: 'a', mg: 1 },
          { id: 'b', mg: 2, deep: { x: 1 } },
        ]),
      );
    });
    const image = readImage(map, 'r1' as RecordId);
    const kept = ['text', 'rich', 'items', 'shared'].map((field) => map.get(field));
    const element = (map.get('items') as Y.Array<Y.Map<unknown>>).get(1);
    (map.get('text') as Y.Text).insert(2, '0');
    (map.get('rich') as Y.Text).format(1, 2, { italic: true });
    element.set('mg', 3);
    map.set('more', 1);
    map.set('bytes', 'AQID');
    written(image, map.doc as Y.Doc);
    same(readImage(map, 'r1' as RecordId), image);
    expect(['text', 'rich', 'items', 'shared'].map((field) => map.get(field))).toEqual(kept);
    expect((map.get('items') as Y.Array<unknown>).get(1)).toBe(element);
  });

  test('a text is edited where it differs, so that concurrent edits of it survive', () => {
    const map = recordWith((record) => record.set('text', new Y.Text('take 20 mg 😀 at night')));
    const image = readImage(map, 'r1' as RecordId);
    const doc = map.doc as Y.Doc;
    (map.get('text') as Y.Text).insert(12, '😁');
    (map.get('text') as Y.Text).delete(5, 1);
    const other = reloaded(doc);
    (recordAt(other, 'r1').get('text') as Y.Text).insert(0, 'Please ');
    written(image, doc);
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(other));
    expect(String(map.get('text'))).toBe('Please take 20 mg 😀 at night');
  });

  test('[D2 H6] XML is edited where it differs: who has it open goes on in it', () => {
    const element = (name: string, text: string) => {
      const xml = new Y.XmlElement(name);
      xml.insert(0, [new Y.XmlText(text)]);
      return xml;
    };
    const xml = new Y.XmlFragment();
    const map = recordWith((record) => record.set('body', xml));
    xml.insert(0, [element('p', 'one'), element('p', 'two'), element('h1', 'three')]);
    (xml.get(0) as Y.XmlElement).setAttribute('class', 'a');
    const image = readImage(map, 'r1' as RecordId);
    const [first, second] = xml.toArray() as Y.XmlElement[];
    const open = second?.get(0) as Y.XmlText;
    first?.setAttribute('class', 'b');
    open.insert(0, 'not ');
    open.format(0, 3, { bold: {} });
    xml.delete(2, 1);
    xml.push([new Y.XmlText('in its place'), element('p', 'new')]);
    const other = reloaded(map.doc as Y.Doc);
    const others = (recordAt(other, 'r1').get('body') as Y.XmlFragment).get(1) as Y.XmlElement;
    (others.get(0) as Y.XmlText).insert(7, ', typed meanwhile');
    written(image, map.doc as Y.Doc);
    same(readImage(map, 'r1' as RecordId), image);
    const stays = [map.get('body') === xml, xml.get(0) === first, xml.get(1) === second];
    expect([...stays, second?.get(0) === open]).toEqual([true, true, true, true]);
    Y.applyUpdate(map.doc as Y.Doc, Y.encodeStateAsUpdate(other));
    expect(String(xml)).toBe('<p class="a">one</p><p>two, typed meanwhile</p><h1>three</h1>');
  });

  test('a text that had another type in between is a text again', () => {
    const map = recordWith((record) => record.set('text', new Y.Text('x')));
    const image = readImage(map, 'r1' as RecordId);
    map.set('text', 'x');
    written(image, map.doc as Y.Doc);
    expect(map.get('text')).toBeInstanceOf(Y.Text);
  });

  test('elements that Yjs holds but does not insert are left alone, and come back as JSON', () => {
    const map = recordWith((record) => record.set('list', Y.Array.from([0, 1, 2])));
    const { content } = (map.get('list') as Y.Array<unknown>)._start as Y.Item;
    (content as Y.ContentAny).arr.splice(0, 2, 5n, undefined); // as an update of another Yjs may have them
    const image = readImage(map, 'r1' as RecordId);
    expect(image).toEqual({
      json: { id: 'r1', list: ['5', null, 2] },
      types: { '/id': 'missing' },
    });
    expect(updatesDuring(map.doc as Y.Doc, () => written(image, map.doc as Y.Doc))).toBe(0);
    same(readImage(written(image), 'r1' as RecordId), image);
  });

  test('it replaces what is no record', () => {
    const doc = new Y.Doc();
    doc.getMap<unknown>(PATIENTS).set('r1', 'text');
    const image = imageOf((map) => map.set('a', 1));
    same(readImage(written(image, doc), 'r1' as RecordId), image);
  });
});

describe('[D6 H6] the field id', () => {
  test.each<[what: string, fill: (map: Y.Map<unknown>) => void, restored: unknown]>([
    ['is there', (map) => map.set('id', '7'), '7'],
    ['is a number', (map) => map.set('id', 7), 7],
    ['is missing', (map) => map.set('a', 1), undefined],
    ['says something else', (map) => map.set('id', 'other'), '7'],
    ['is a text', (map) => map.set('id', new Y.Text('7')), '7'],
  ])('%s: it comes back as it read', (_, fill, restored) => {
    const map = recordWith(fill);
    const image = readImage(map, '7' as RecordId);
    expect(image.json).toEqual(readRecord(map, '7' as RecordId));
    expect(image.types).toEqual(restored === undefined ? { '/id': 'missing' } : null);
    const copy = written(image, new Y.Doc(), '7' as RecordId);
    expect(copy.get('id')).toBe(restored);
    same(readImage(copy, '7' as RecordId), image);
    const doc = new Y.Doc();
    const own = doc.getMap<Y.Map<unknown>>(PATIENTS).set('7', new Y.Map());
    fill(own);
    expect(updatesDuring(doc, () => written(image, doc, '7' as RecordId))).toBe(0);
  });

  test('it is taken away or changed where the image says so', () => {
    const [missing, number] = [{}, { id: 7 }].map((json) =>
      readImage(
        recordWith((map) => Object.entries(json).map(([k, v]) => map.set(k, v))),
        '7' as RecordId,
      ),
    );
    const doc = new Y.Doc();
    const map = doc.getMap<Y.Map<unknown>>(PATIENTS).set('7', new Y.Map([['id', '7']]));
    written(missing as RecordImage, doc, '7' as RecordId);
    expect(map.has('id')).toBe(false);
    written(number as RecordImage, doc, '7' as RecordId);
    expect(map.get('id')).toBe(7);
  });
});
