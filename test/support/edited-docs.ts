import fc from 'fast-check';
import * as Y from 'yjs';
import { nameProblem } from '../../shared/names.js';

/** Generated documents: two devices that edit a few records, and meet now and then. */

const keys = fc.constantFrom('a', 'birthDate', 'größe', '生年月日', '👩🏽', 'constructs!');

const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string({ unit: 'grapheme' }),
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constantFrom(null, undefined, 0, -1, -64, 2 ** 31, -(2 ** 40), 2 ** 53 - 1),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.uint8Array({ maxLength: 9 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

const kinds = [
  'set',
  'map',
  'array',
  'push',
  'cut',
  'text',
  'write',
  'format',
  'embed',
  'xml',
  'delete',
  'meet',
] as const;

const edit = fc.record({
  device: fc.nat(1),
  kind: fc.constantFrom(...kinds),
  record: fc.constantFrom('r1', 'r2'),
  key: keys,
  value,
  text: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }),
  at: fc.nat(20),
});
type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never;

export const edits = fc.array(edit, { maxLength: 40 });

/** @param follow called for each of the documents while it is empty */
export function docsOf(made: readonly Edit[], follow: (doc: Y.Doc) => void = () => {}): Y.Doc[] {
  const docs = [1, 2].map((n) => {
    const doc = new Y.Doc();
    doc.clientID = n * 1_000_003;
    follow(doc);
    return doc;
  });
  for (const each of made) {
    const doc = docs[each.device];
    if (doc === undefined) continue;
    if (each.kind === 'meet') meet(docs);
    else doc.transact(() => apply(doc, each));
  }
  return docs;
}

function meet(docs: Y.Doc[]): void {
  for (const from of docs) for (const to of docs) Y.applyUpdate(to, Y.encodeStateAsUpdate(from));
}

function apply(doc: Y.Doc, { kind, record, key, value, text, at }: Edit): void {
  const records = doc.getMap<Y.Map<unknown>>('patients');
  const map = records.get(record) ?? records.set(record, new Y.Map());
  const field = map.get(key);
  if (kind === 'set') map.set(key, value);
  else if (kind === 'map') map.set(key, new Y.Map([[keyOf(text), new Y.Map([['n', value]])]]));
  else if (kind === 'array') map.set(key, Y.Array.from([text, at]));
  else if (kind === 'text') map.set(key, new Y.Text(text));
  else if (kind === 'xml') map.set(key, xml(text));
  else if (kind === 'delete') map.delete(key);
  else if (field instanceof Y.Array) editArray(field, kind, value, at);
  else if (field instanceof Y.Text) editText(field, kind, text, at);
}

/** Texts hold any character, and keys do not: the server refuses what nobody can see (D6). */
const keyOf = (text: string): string => (nameProblem(text) === null ? text : 'x');

function xml(text: string): Y.XmlFragment {
  const fragment = new Y.XmlFragment();
  const element = new Y.XmlElement('p');
  element.setAttribute('title', text);
  fragment.insert(0, [element, new Y.XmlText(text)]);
  return fragment;
}

function editArray(array: Y.Array<unknown>, kind: Edit['kind'], value: unknown, at: number): void {
  if (kind === 'push') array.insert(at % (array.length + 1), [at, [value], new Y.Map([['n', at]])]);
  else if (kind === 'cut' && array.length > 0) array.delete(at % array.length, 1);
}

function editText(field: Y.Text, kind: Edit['kind'], text: string, at: number): void {
  const place = at % (field.length + 1);
  if (kind === 'write') field.insert(place, text);
  else if (kind === 'embed') field.insertEmbed(place, { text });
  else if (kind === 'format')
    field.format(place, field.length - place, { bold: at % 2 === 0 || null, size: text });
  else if (kind === 'cut' && field.length > 0) field.delete(at % field.length, 1);
}

/** Edits the documents on, and returns updates of them: whole ones, diffs, merges, and some that leave gaps. */
export function updatesOf(docs: Y.Doc[]): Uint8Array[] {
  const whole = docs.map((doc) => Y.encodeStateAsUpdate(doc));
  const halves = docs.map((doc) => {
    const state = Y.decodeStateVector(Y.encodeStateVector(doc));
    for (const [client, clock] of state) state.set(client, clock >> 1);
    return Y.encodeStateAsUpdate(doc, Y.encodeStateVector(state));
  });
  const small = docs.map((doc) => {
    const parts: Uint8Array[] = [];
    doc.on('update', (update: Uint8Array) => parts.push(update));
    for (const key of ['x', 'y', 'z']) doc.getMap('later').set(key, new Y.Map([[key, key]]));
    doc.getMap('later').delete('y');
    return parts;
  });
  const gaps = small.map((parts) => Y.mergeUpdates(parts.filter((_part, i) => i % 2 === 0)));
  return [
    ...whole,
    ...halves,
    ...small.flat(),
    ...gaps,
    Y.mergeUpdates([...gaps, ...halves]),
    Y.mergeUpdates(whole),
  ];
}
