import fc from 'fast-check';
import { equalityDeep } from 'lib0/function';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { Json } from '../../shared/json.js';
import { mergeMarkup } from '../../shared/merge/text.js';
import { assignRecord, readValue } from '../../shared/records.js';
import { canBecome, type SharedText } from '../../shared/rich-text.js';
import { runs } from '../support/runs.js';

type Node = string | Y.XmlElement | Y.XmlText;
const BOLD = { bold: {} };

/** In a document, as the field `body` of a record. */
function placed<T extends SharedText>(text: T): T {
  recordOf().set('body', text);
  return text;
}

function recordOf(): Y.Map<unknown> {
  return new Y.Doc().getMap<Y.Map<unknown>>('notes').set('n1', new Y.Map());
}

const nodes = (children: Node[]) =>
  children.map((child) => (typeof child === 'string' ? new Y.XmlText(child) : child));

function element(name: string, ...children: Node[]): Y.XmlElement {
  const xml = new Y.XmlElement(name);
  xml.insert(0, nodes(children));
  return xml;
}

const paragraph = (...children: Node[]) => element('paragraph', ...children);

function fragment(...children: Node[]): Y.XmlFragment {
  const xml = new Y.XmlFragment();
  xml.insert(0, nodes(children));
  return placed(xml);
}

function formatted<T extends Y.Text>(text: T, ...runs: [insert: unknown, attributes?: object][]): T {
  placed(text).applyDelta(runs.map(([insert, attributes]) => ({ insert, attributes: { ...attributes } })));
  return text;
}

const deltaOf = (text: Y.Text) =>
  text
    .toDelta()
    .map(({ insert, attributes }: { insert: unknown; attributes?: object }) =>
      attributes === undefined ? [insert] : [insert, attributes],
    );

/** As a JSON device's write does it; what the text is then, and it is always that text. */
function write(text: SharedText, body: Json | undefined): Json {
  const record = text.parent as Y.Map<unknown>;
  record.doc?.transact(() => assignRecord(record, body === undefined ? {} : { body }));
  expect(record.get('body')).toBe(text);
  return readValue(text);
}

describe('[D2] words in a fragment', () => {
  test('are written into the text that they stand in', () => {
    const body = fragment(paragraph('Fever. Cough.'), element('heading', 'Plan'), paragraph('Rest.'));
    const texts = body.toArray().map((each) => (each as Y.XmlElement).get(0) as Y.XmlText);
    write(
      body,
      '<paragraph>High fever. Cough.</paragraph><heading>The plan</heading><paragraph>Rest</paragraph>',
    );
    expect(texts.map(String)).toEqual(['High fever. Cough.', 'The plan', 'Rest']);
  });

  test('what an open editor types meanwhile stays, in front, behind and in between', () => {
    const body = fragment(paragraph('one two three four five'));
    const other = new Y.Doc();
    Y.applyUpdate(other, Y.encodeStateAsUpdate(body.doc as Y.Doc));
    const record = other.getMap<Y.Map<unknown>>('notes').get('n1') as Y.Map<unknown>;
    const open = ((record.get('body') as Y.XmlFragment).get(0) as Y.XmlElement).get(0) as Y.XmlText;
    open.insert(open.length, ' END');
    open.insert(13, ' MIDDLE');
    open.insert(0, 'START ');
    write(body, '<paragraph>one 2 three 4 five</paragraph>');
    Y.applyUpdate(other, Y.encodeStateAsUpdate(body.doc as Y.Doc));
    expect(String(open)).toBe('START one 2 three MIDDLE 4 five END');
  });

  test.each([
    ['an element is added', '<paragraph>Hello</paragraph><paragraph>World</paragraph>'],
    ['the words are in another element', '<heading>Hello</heading>'],
    ['the words are formatted', '<paragraph><bold>Hello</bold></paragraph>'],
    ['a picture comes', '<paragraph>Hello<img src="a"></paragraph>'],
    ['a line break comes', '<paragraph>Hel<br/>lo</paragraph>'],
    ['a tag is broken', '<paragraph>Hello</paragraph'],
    ['a tag is gone', '<paragraph>Hello'],
    ['all tags are gone', 'Hello'],
    ['words are outside of all elements', '<paragraph>Hello</paragraph>World'],
    ['words and tags change', '<paragraph>Hallo</paragraph><paragraph>World</paragraph>'],
    ['it is a number', 5],
    ['it is true', true],
    ['it is an object', { paragraph: 'Hello' }],
    ['it is an array', ['Hello']],
  ])('nothing changes where %s', (_, wanted) => {
    const body = fragment(paragraph('Hello'));
    let updates = 0;
    body.doc?.on('update', () => updates++);
    expect(canBecome(body, wanted)).toBe(false);
    expect(write(body, wanted)).toBe('<paragraph>Hello</paragraph>');
    expect(updates).toBe(0);
  });

  test.each([
    ['null', null],
    ['no text', ''],
    ['no field', undefined],
  ])('%s takes the words away, and leaves the elements', (_, wanted) => {
    const text = new Y.XmlText('Hello');
    const image = element('image');
    image.setAttribute('src', 'a.png');
    const body = fragment(paragraph(text), image, paragraph('World'));
    write(body, wanted);
    expect(String(body)).toBe('<paragraph></paragraph><image src="a.png"></image><paragraph></paragraph>');
    text.insert(0, 'typed on');
    expect(String(body)).toContain('<paragraph>typed on</paragraph>');
  });

  test('the first words come into a paragraph', () => {
    const body = fragment();
    expect(write(body, 'Fever & cough < 3 days')).toBe('<paragraph>Fever & cough < 3 days</paragraph>');
    expect(body.get(0)).toBeInstanceOf(Y.XmlElement);
    expect(write(fragment(), '<b>Fever</b>'), 'with tags they come in not at all').toBe('');
  });

  test('an empty paragraph takes words, and so does any element that holds words elsewhere', () => {
    const open = '<paragraph></paragraph><heading></heading>';
    const empty = () => [paragraph(), element('heading')];
    const filled = '<paragraph>one</paragraph><heading>two</heading>';
    expect(write(fragment(...empty(), element('heading', 'x')), `${filled}<heading>x</heading>`)).toBe(
      `${filled}<heading>x</heading>`,
    );
    expect(write(fragment(...empty()), filled), 'a heading may be a picture, for all we know').toBe(open);
  });

  test('"<" and "&" are words, typed by whomever', () => {
    const body = fragment(paragraph('BP < 120 & HR > 60'), paragraph('a <b> typed by somebody'));
    const wanted = '<paragraph>BP < 130 & HR<70 && HR>50</paragraph><paragraph>a <b> typed by me</paragraph>';
    expect(write(body, wanted)).toBe(wanted);
    expect(write(body, wanted.replace('BP', '&amp;'))).toBe(wanted.replace('BP', '&amp;'));
  });

  test('attributes, whatever is in them, stay', () => {
    const heading = element('heading', 'Plan');
    heading.setAttribute('title', 'a > b "c" <d>');
    heading.setAttribute('level', '1');
    const body = fragment(heading, paragraph('x'));
    const before = String(body);
    expect(write(body, before.replace('Plan', 'The plan'))).toBe(before.replace('Plan', 'The plan'));
    expect(write(body, before.replace('level="1"', 'level="2"'))).toBe(before.replace('Plan', 'The plan'));
  });

  test('elements in elements', () => {
    const body = fragment(
      element('list', element('item', paragraph('one')), element('item', paragraph('two'), paragraph())),
    );
    const wanted = String(body).replace('one', '1').replace('></paragraph>', '>3</paragraph>');
    expect(write(body, wanted)).toBe(wanted);
  });

  test('an emoji is never split', () => {
    const text = new Y.XmlText('ok 😀 fine 👍🏽');
    const body = fragment(paragraph(text));
    const parts: string[] = [];
    text.observe(({ delta }) => parts.push(...delta.map(({ insert }) => String(insert ?? ''))));
    write(body, '<paragraph>ok 😁 fine 👍🏿</paragraph>');
    expect(String(text)).toBe('ok 😁 fine 👍🏿');
    for (const part of parts) expect(Buffer.from(part).toString()).toBe(part);
  });
});

describe('[D2] words in a formatted text', () => {
  const sheet = () => formatted(new Y.XmlText(), ['take '], ['20 mg', BOLD], [' at night']);

  test.each([
    ['in the bold words', 'take <bold>30 mg</bold> at night', '30 mg'],
    ['at their end', 'take <bold>20 mg!</bold> at night', '20 mg!'],
    ['all of them', 'take <bold>one</bold> at night', 'one'],
  ])('XML: %s', (_, wanted, bold) => {
    const text = sheet();
    expect(write(text, wanted)).toBe(wanted);
    expect(deltaOf(text)).toEqual([['take '], [bold, BOLD], [' at night']]);
  });

  test('XML: in front of a tag and behind it are two places', () => {
    const text = formatted(new Y.XmlText(), ['a', BOLD], ['b', { italic: {} }]);
    expect(write(text, '1<bold>a2</bold>3<italic>4b</italic>5')).toBe(
      '1<bold>a2</bold>3<italic>4b</italic>5',
    );
    expect(deltaOf(text)).toEqual([['1'], ['a2', BOLD], ['3'], ['4b', { italic: {} }], ['5']]);
  });

  test('XML: words that lose all their letters leave no tags', () => {
    const text = sheet();
    expect(write(text, 'take <bold></bold> at night')).toBe('take  at night');
  });

  test.each([
    ['a bold word', 'take 30 mg at night', [['take '], ['30 mg', BOLD], [' at night']]],
    ['words on both sides', 'Take 20 mg at noon', [['Take '], ['20 mg', BOLD], [' at noon']]],
    ['behind the bold ones', 'take 20 mg, once at night', [['take '], ['20 mg, once', BOLD], [' at night']]],
    [
      'in front of the bold ones',
      'take only 20 mg at night',
      [['take only '], ['20 mg', BOLD], [' at night']],
    ],
    ['at the start', 'Do take 20 mg at night', [['Do take '], ['20 mg', BOLD], [' at night']]],
    ['all of it', 'nothing', [['nothing']]],
    ['tags are words here', 'take <b>20 mg</b> at night', [['take '], ['<b>20 mg</b>', BOLD], [' at night']]],
  ])('Y.Text: %s', (_, wanted, delta) => {
    const text = formatted(new Y.Text(), ['take '], ['20 mg', BOLD], [' at night']);
    expect(write(text, wanted)).toBe(wanted);
    expect(deltaOf(text)).toEqual(delta);
  });

  test('Y.Text: what is embedded stays, whatever is written around it', () => {
    const text = formatted(new Y.Text(), ['see '], [{ image: 1 }], ['this', BOLD], [{ image: 2 }], [' now']);
    write(text, 'look at that now');
    const embedded = text.toDelta().filter(({ insert }: { insert: unknown }) => typeof insert === 'object');
    expect(embedded.map(({ insert }: { insert: unknown }) => insert)).toEqual([{ image: 1 }, { image: 2 }]);
    expect(write(text, null)).toBe('');
    expect(deltaOf(text)).toEqual([[{ image: 1 }], [{ image: 2 }]]);
    expect(write(text, 'again')).toBe('again');
  });

  test('XML: what is embedded is a tag', () => {
    const text = formatted(new Y.XmlText(), ['see '], [{ image: 1 }], [' now']);
    expect(write(text, 'look [object Object] then')).toBe('look [object Object] then');
    expect(deltaOf(text)).toEqual([['look '], [{ image: 1 }], [' then']]);
    expect(write(text, 'look then')).toBe('look [object Object] then');
  });

  test('Y.Text: a line break that makes a heading makes none of what comes behind it', () => {
    const text = formatted(new Y.Text(), ['Plan'], ['\n', { header: 1 }], ['Rest', BOLD], ['\n']);
    write(text, 'Plan\nMuch Rest\nNow\n');
    expect(deltaOf(text)).toEqual([['Plan'], ['\n', { header: 1 }], ['Much Rest\nNow', BOLD], ['\n']]);
  });
});

describe('[D2] wherever a text stands', () => {
  test('in a nested object, in an element with an id, as an element', () => {
    const record = recordOf();
    const [inner, inElement, asElement] = [paragraph('a'), paragraph('a'), new Y.XmlText('a b')];
    record.set('o', new Y.Map([['body', inner]]));
    record.set(
      'list',
      Y.Array.from([
        new Y.Map<unknown>([
          ['id', 'e1'],
          ['body', inElement],
        ]),
      ]),
    );
    record.set('texts', Y.Array.from([asElement] as unknown as string[]));
    assignRecord(record, {
      o: { body: '<paragraph>1</paragraph>' },
      list: [{ id: 'e1', body: '<paragraph>2</paragraph>', more: 1 }],
      texts: ['new', 'a c'],
    });
    expect([inner, inElement].map(String)).toEqual(['<paragraph>1</paragraph>', '<paragraph>2</paragraph>']);
    expect(readValue(record.get('texts'))).toEqual(['new', 'a c']);
    assignRecord(record, { o: { body: 7 }, list: [{ id: 'e1' }], texts: ['new', 'a d'] });
    expect(readValue(record)).toEqual({
      o: { body: '<paragraph>1</paragraph>' },
      list: [{ id: 'e1', body: '<paragraph></paragraph>' }],
      texts: ['new', 'a d'],
    });
  });

  test('one that Yjs can not print is left alone', () => {
    const xml = placed(new Y.XmlFragment());
    xml.insert(0, [null as unknown as Y.XmlText]);
    expect(readValue(xml)).toBeNull();
    for (const wanted of ['words', null, undefined, 5]) expect(write(xml, wanted)).toBeNull();
    expect(xml.toArray()).toEqual([null]);
  });
});

describe('[D2 L6] three versions of a text with tags', () => {
  test.each([
    ['both changed a word', '<p>a b</p>', '<p>1 b</p>', '<p>a 2</p>', '<p>1 2</p>'],
    ['a word, and an element', '<p>a</p>', '<p>b</p>', '<p>a</p><p>new</p>', '<p>b</p><p>new</p>'],
    ['a word that became bold', 'a b', 'a c', 'a <b>b</b>', 'a <b>c</b>'],
    [
      'the tags are alike everywhere',
      '<p>a</p><p>b</p>',
      '<p>a</p><p>c</p>',
      '<p>x</p><p>b</p>',
      '<p>x</p><p>c</p>',
    ],
    ['emptied, and somebody typed on', '<p>a b</p>', '', '<p>a b c</p>', '<p> c</p>'],
    ['emptied as it was seen', '<p>a</p>', '', '<p>a</p>', '<p></p>'],
  ])('%s', (_, seen, incoming, current, merged) => {
    expect(mergeMarkup([seen], incoming, current)).toBe(merged);
  });
});

describe('[D2] any words over any text', () => {
  const word = fc.constantFrom('a', 'b ', '<', '&', '😀', '😁', '\n', ' ');
  const words = fc.array(word, { maxLength: 6 }).map((parts) => parts.join(''));
  const format = fc.constantFrom({}, BOLD, { italic: {} }, { bold: {}, link: { href: 'x' } });
  // Neighbours of one format are one run to Yjs.
  const pieces = fc
    .array(fc.tuple(words, format), { maxLength: 4 })
    .map((all) => all.filter(([insert]) => insert !== ''))
    .map((all) => all.filter(([, each], k) => each !== all[k - 1]?.[1]));

  const textsOf = (made: [string, object][][]): Y.XmlText[] =>
    made.map((each) => {
      const text = new Y.XmlText();
      text.applyDelta(each.map(([insert, attributes]) => ({ insert, attributes: { ...attributes } })));
      return text;
    });
  const inParagraphs = (texts: Y.XmlText[]) => fragment(...texts.map((text) => paragraph(text)));

  /** Yjs may say the same format twice. */
  function runsIn(text: Y.Text): [string, object][] {
    const all: [string, object][] = [];
    for (const [insert, attributes = {}] of deltaOf(text) as [string, object?][]) {
      const last = all.at(-1);
      if (last !== undefined && equalityDeep(last[1], attributes)) last[0] += insert;
      else all.push([insert, attributes]);
    }
    return all;
  }

  test('each goes into its run of its text', () => {
    const property = fc.property(
      fc.array(pieces, { maxLength: 4 }),
      fc.infiniteStream(words),
      (made, stream) => {
        const wanted = made.map((each) =>
          each.map(([, format]): [string, object] => [`x${stream.next().value}`, format]),
        );
        const texts = textsOf(made);
        const body = inParagraphs(texts);
        write(body, String(inParagraphs(textsOf(wanted))));
        expect(texts.map(runsIn)).toEqual(wanted);
        expect(body.toArray().map((each) => (each as Y.XmlElement).get(0))).toEqual(texts);
        const copy = new Y.Doc();
        Y.applyUpdate(copy, Y.encodeStateAsUpdate(body.doc as Y.Doc));
        expect(String(copy.getMap<Y.Map<unknown>>('notes').get('n1')?.get('body'))).toBe(String(body));
      },
    );
    fc.assert(property, { numRuns: runs(500) });
  });

  test('plain words over a formatted Y.Text', () => {
    fc.assert(
      fc.property(pieces, words, (made, wanted) => {
        const text = formatted(new Y.Text(), ...made);
        expect(write(text, wanted)).toBe(wanted);
      }),
      { numRuns: runs(300) },
    );
  });
});
