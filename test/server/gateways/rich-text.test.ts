/** Texts that people write in editors, and JSON devices that see them as strings (D2), over real sockets. */
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { JsonRecord } from '../../../shared/json.js';
import type { JsonDevice } from '../../support/devices/json-device.js';
import type { NativeDevice } from '../../support/devices/native-device.js';
import { useJson, useNative, useServer } from '../../support/use.js';

const USER = 'anna';
const BOLD = { bold: {} };

function paragraph(...runs: [string, object?][]): Y.XmlElement {
  const text = new Y.XmlText();
  text.applyDelta(runs.map(([insert, attributes]) => ({ insert, attributes: { ...attributes } })));
  const xml = new Y.XmlElement('paragraph');
  xml.insert(0, [text]);
  return xml;
}

function fragment(...children: Y.XmlElement[]): Y.XmlFragment {
  const xml = new Y.XmlFragment();
  xml.insert(0, children);
  return xml;
}

/** A note that somebody has open in an editor, and a tablet that speaks JSON and has read it. */
async function useNote(fields: Record<string, unknown>) {
  // Without the pace nothing is in doubt, and sent once more for that, however slow the machine is (L4).
  const server = await useServer({ JSON_PACE: '0' });
  const editor = await useNative(server, USER, 'editor');
  editor.collection('notes').set('n1', new Y.Map(Object.entries({ id: 'n1', title: 'T', ...fields })));
  await editor.saved();
  const tablet = await useJson(server, USER, 'tablet');
  const note = () => tablet.store.notes?.n1 as JsonRecord;
  const edit = async (change: (note: JsonRecord) => object) => {
    tablet.update('notes', { ...note(), ...change(note()) } as JsonRecord);
    await tablet.saved();
    await editor.saved();
  };
  return { server, editor, tablet, note, edit };
}

const corrections = (tablet: JsonDevice): (object | undefined)[] =>
  tablet
    .of('DATA_UPDATE')
    .filter(({ fromDevice }) => fromDevice === 'server')
    .map(({ data }) => data.document);

/** Everybody has this note, a device that comes later too. */
async function expectNote(
  { server, editor, tablet }: Pick<Awaited<ReturnType<typeof useNote>>, 'server' | 'editor' | 'tablet'>,
  note: object,
): Promise<void> {
  await tablet.until(() => isDeepStrictEqual(tablet.store.notes?.n1, { id: 'n1', ...note }));
  const later = await useJson(server, USER, 'later');
  expect([later.store.notes?.n1, editor.json().notes?.n1]).toEqual([
    { id: 'n1', ...note },
    { id: 'n1', ...note },
  ]);
}

const body = (device: NativeDevice) => device.record('notes', 'n1').get('body');
const textIn = (xml: Y.XmlFragment, at = 0) => (xml.get(at) as Y.XmlElement).get(0) as Y.XmlText;

describe('[D2] a word that a JSON device changes', () => {
  test('in a fragment is changed inside it, and who has it open goes on typing', async () => {
    const xml = fragment(paragraph(['Hello'], [' world', BOLD]), paragraph(['second']));
    const all = await useNote({ body: xml });
    const { editor, note, edit, tablet } = all;
    const open = textIn(xml);
    expect(note().body).toBe('<paragraph>Hello<bold> world</bold></paragraph><paragraph>second</paragraph>');
    await edit(({ body }) => ({ body: String(body).replace('Hello', 'Hallo') }));
    await editor.until(() => String(xml).includes('Hallo'));
    expect(body(editor)).toBe(xml);
    open.insert(0, 'typed: ');
    await editor.saved();
    expect(open.toDelta()).toEqual([{ insert: 'typed: Hallo' }, { insert: ' world', attributes: BOLD }]);
    await expectNote(all, {
      title: 'T',
      body: '<paragraph>typed: Hallo<bold> world</bold></paragraph><paragraph>second</paragraph>',
    });
    expect(corrections(tablet), 'it was taken as it was sent').toEqual([]);
  });

  test('in a formatted Y.Text leaves the formats and what is embedded', async () => {
    const text = new Y.Text();
    text.applyDelta([{ insert: 'take ' }, { insert: '20 mg', attributes: BOLD }, { insert: { image: 1 } }]);
    const all = await useNote({ body: text });
    await all.edit(() => ({ body: 'take 30 mg' }));
    await all.editor.until(() => String(text) === 'take 30 mg');
    expect([body(all.editor) === text, text.toDelta()]).toEqual([
      true,
      [{ insert: 'take ' }, { insert: '30 mg', attributes: BOLD }, { insert: { image: 1 } }],
    ]);
    await expectNote(all, { title: 'T', body: 'take 30 mg' });
  });

  test('in a nested object and in an element with an id', async () => {
    const [inner, inElement] = [fragment(paragraph(['a'])), fragment(paragraph(['b']))];
    const element = new Y.Map<unknown>([
      ['id', 'e1'],
      ['body', inElement],
    ]);
    const all = await useNote({ o: new Y.Map([['body', inner]]), list: Y.Array.from([element]) });
    const wanted = {
      o: { body: '<paragraph>A</paragraph>' },
      list: [{ id: 'e1', body: '<paragraph>B 👍🏽</paragraph>' }],
    };
    await all.edit(() => wanted);
    await all.editor.until(() => String(inElement).includes('B'));
    expect([inner, inElement].map(String)).toEqual([wanted.o.body, wanted.list[0]?.body]);
    await expectNote(all, { title: 'T', ...wanted });
  });

  test('while others type: both are there, word by word', async () => {
    const xml = fragment(paragraph(['one two three']));
    const all = await useNote({ body: xml });
    const { editor, tablet, note } = all;
    editor.offline();
    textIn(xml).insert(13, ' four');
    xml.insert(1, [paragraph(['new'])]);
    tablet.update('notes', { ...note(), body: '<paragraph>1 two 3</paragraph>' });
    await tablet.saved();
    await editor.online();
    await editor.saved();
    await expectNote(all, {
      title: 'T',
      body: '<paragraph>1 two 3 four</paragraph><paragraph>new</paragraph>',
    });
  });

  test('in what it had seen: what came since stays, formatted as it is', async () => {
    const xml = fragment(paragraph(['one two three']));
    const all = await useNote({ body: xml });
    const { editor, tablet } = all;
    const old = all.note();
    textIn(xml).format(4, 3, BOLD);
    textIn(xml).insert(0, 'zero ');
    xml.push([paragraph(['new'])]);
    await editor.saved();
    await tablet.until(() => String(tablet.store.notes?.n1?.body).includes('zero'));
    tablet.update('notes', { ...old, body: '<paragraph>one 2 three</paragraph>' });
    await tablet.saved();
    await editor.saved();
    await expectNote(all, {
      title: 'T',
      body: '<paragraph>zero one <bold>2</bold> three</paragraph><paragraph>new</paragraph>',
    });
  });

  test('over HTTP', async () => {
    const xml = fragment(paragraph(['Hello']));
    const all = await useNote({ body: xml });
    const url = `${all.server.url}/api/sync/${USER}`;
    const headers = { 'Content-Type': 'application/json', 'Device-ID': 'fetcher' };
    const seen = await fetch(url, { headers });
    await fetch(url, { headers: { ...headers, 'If-None-Match': seen.headers.get('ETag') ?? '' } });
    const post = async (document: object) => {
      const data = { collection: 'notes', document, timestamp: Date.now() };
      const changes = [{ type: 'DATA_UPDATE', data, userId: USER, deviceId: 'fetcher' }];
      const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ changes }) });
      return ((await answer.json()) as { notes: JsonRecord[] }).notes[0];
    };
    const hallo = '<paragraph>Hallo</paragraph>';
    expect(await post({ id: 'n1', title: 'T', body: hallo })).toEqual({ id: 'n1', title: 'T', body: hallo });
    const refused = { id: 'n1', title: 'U', body: '<h1>Hallo</h1>' };
    expect(await post(refused), 'the answer is the correction').toEqual({
      id: 'n1',
      title: 'U',
      body: hallo,
    });
    await all.editor.saved();
    expect([body(all.editor) === xml, String(xml)]).toEqual([true, hallo]);
  });
});

describe('[D2 L3] what is no change of words', () => {
  test.each([
    ['another element', '<heading>Hello</heading>'],
    ['one more element', '<paragraph>Hello</paragraph><paragraph>World</paragraph>'],
    ['no tags', 'Hello'],
    ['a broken tag', '<paragraph>Hello</paragraph'],
    ['a number', 7],
    ['an object', { text: 'Hello' }],
  ])('is refused, the rest of the write is taken, and the device gets the record: %s', async (_, wanted) => {
    const xml = fragment(paragraph(['Hello']));
    const all = await useNote({ body: xml });
    const { editor, tablet, edit } = all;
    await edit(() => ({ title: 'new', body: wanted }));
    const record = { title: 'new', body: '<paragraph>Hello</paragraph>' };
    await expectNote(all, record);
    expect(corrections(tablet)).toEqual([{ id: 'n1', ...record }]);
    expect(body(editor)).toBe(xml);
    await edit(() => ({ body: '<paragraph>Hallo</paragraph>' }));
    await expectNote(all, { title: 'new', body: '<paragraph>Hallo</paragraph>' });
    textIn(xml).insert(5, '!');
    await editor.saved();
    await expectNote(all, { title: 'new', body: '<paragraph>Hallo!</paragraph>' });
  });
});

describe('[D2] a text that a JSON device empties', () => {
  const empties: [string, (note: JsonRecord) => object][] = [
    ['by no text', (note) => ({ ...note, body: '' })],
    ['by null', (note) => ({ ...note, body: null })],
    ['by leaving the field out', ({ body: _, ...note }) => note],
  ];

  test.each(empties)('%s loses its words, and stays', async (_, change) => {
    const xml = fragment(paragraph(['Hello ', BOLD], ['world']));
    const all = await useNote({ body: xml });
    const { editor, tablet, note, edit } = all;
    await edit(() => ({ title: 'its fields are known' }));
    tablet.update('notes', change(note()));
    await tablet.saved();
    await editor.saved();
    const title = 'its fields are known';
    await expectNote(all, { title, body: '<paragraph></paragraph>' });
    textIn(xml).insert(0, 'typed on');
    await editor.saved();
    expect(body(editor)).toBe(xml);
    await expectNote(all, { title, body: '<paragraph>typed on</paragraph>' });
  });

  test.each(empties)('%s keeps what was typed meanwhile', async (_, change) => {
    const xml = fragment(paragraph(['Hello']));
    const all = await useNote({ body: xml });
    const { editor, tablet, note, edit } = all;
    await edit(() => ({ title: 'its fields are known' }));
    const old = note();
    textIn(xml).insert(5, ' and more');
    await editor.saved();
    await tablet.until(() => String(tablet.store.notes?.n1?.body).includes('more'));
    tablet.update('notes', change(old));
    await tablet.saved();
    await editor.saved();
    const kept = '<paragraph> and more</paragraph>';
    await expectNote(all, { title: 'its fields are known', body: kept });
  });

  test('takes its first words again, an empty fragment in a paragraph', async () => {
    const [xml, text] = [fragment(), new Y.Text()];
    const all = await useNote({ body: xml, text });
    await all.edit(() => ({ body: 'First words', text: 'First words' }));
    await all.editor.until(() => String(text) === 'First words');
    const record = { title: 'T', body: '<paragraph>First words</paragraph>', text: 'First words' };
    await expectNote(all, record);
    expect(corrections(all.tablet), 'it learns of the paragraph').toEqual([{ id: 'n1', ...record }]);
    expect([body(all.editor) === xml, xml.get(0) instanceof Y.XmlElement]).toEqual([true, true]);
  });

  test('a record with a text is deleted like any other', async () => {
    const all = await useNote({ body: fragment(paragraph(['Hello'])) });
    all.tablet.delete('notes', 'n1');
    await all.tablet.saved();
    await all.editor.until(() => !all.editor.collection('notes').has('n1'));
  });
});

test('[D2 H6] a restore writes inside a fragment that is open, too', async () => {
  const xml = fragment(paragraph(['Hello'], [' world', BOLD]));
  const all = await useNote({ body: xml });
  await all.edit(({ body }) => ({ body: String(body).replace('Hello', 'Hallo') }));
  const response = await fetch(`${all.server.url}/api/history/${USER}/restore`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Device-ID': 'desk' },
    body: JSON.stringify({ collection: 'notes', id: 'n1', revision: 1 }),
  });
  expect(response.status).toBe(200);
  await all.editor.saved();
  expect(body(all.editor)).toBe(xml);
  expect(textIn(xml).toDelta()).toEqual([{ insert: 'Hello' }, { insert: ' world', attributes: BOLD }]);
});
