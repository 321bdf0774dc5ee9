/** Bad messages of JSON devices: an ERROR with a code, nothing of them applied, the connection open (L10, D6). */
import { describe, expect, test } from 'vitest';
import { ERRORS } from '../../../server/errors.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { Json } from '../../../shared/json.js';
import type { JsonDevice } from '../../support/devices/json-device.js';
import { ObservedStore } from '../../support/observed-store.js';
import { useJson, useUnpaced } from '../../support/use.js';

const who = { userId: 'anna', deviceId: 'tablet' };
const update = (document: unknown, more: object = {}) =>
  JSON.stringify({ type: 'DATA_UPDATE', ...who, data: { collection: 'notes', document }, ...more });
const nested = (depth: number): Json => (depth === 0 ? 1 : { a: nested(depth - 1) });
const deep = `{"type":"DATA_UPDATE","userId":"anna","deviceId":"tablet","data":{"collection":"notes","document":{"id":"n1","a":${'['.repeat(50_000)}${']'.repeat(50_000)}}}}`;

const BAD: readonly (readonly [what: string, text: string, code: keyof typeof ERRORS])[] = [
  ['no JSON', '{"type":', 'INVALID_JSON'],
  ['nothing', '', 'INVALID_JSON'],
  ['JSON that is no object', '[1]', 'UNKNOWN_TYPE'],
  ['null', 'null', 'UNKNOWN_TYPE'],
  ['no type', JSON.stringify({ ...who, data: {} }), 'UNKNOWN_TYPE'],
  ['an unknown type', JSON.stringify({ type: 'DATA_DROP', ...who }), 'UNKNOWN_TYPE'],
  ['a type of Object.prototype', JSON.stringify({ type: 'constructor', ...who }), 'UNKNOWN_TYPE'],
  ['no data', JSON.stringify({ type: 'DATA_UPDATE', ...who }), 'INVALID_MESSAGE'],
  ['data that is no object', JSON.stringify({ type: 'DATA_DELETE', ...who, data: 'x' }), 'INVALID_MESSAGE'],
  ['a document that is no object', update([{ id: 'n1' }]), 'INVALID_MESSAGE'],
  ['an empty userId', JSON.stringify({ type: 'REQUEST_SYNC', ...who, userId: '' }), 'WRONG_USER'],
  [
    'a userId that is no string',
    JSON.stringify({ type: 'REQUEST_SYNC', ...who, userId: 7 }),
    'INVALID_MESSAGE',
  ],
  ['a wrong userId', JSON.stringify({ type: 'REQUEST_SYNC', ...who, userId: 'bert' }), 'WRONG_USER'],
  ['a timestamp that is no number', update({ id: 'n1' }, { timestamp: 'today' }), 'INVALID_MESSAGE'],
  ['a day that is none', update({ id: 'n1' }, { timestamp: '2024-13-01T10:00:00Z' }), 'INVALID_MESSAGE'],
  ['a negative timestamp', update({ id: 'n1' }, { timestamp: -1 }), 'INVALID_MESSAGE'],
  ['an ack that is no string', update({ id: 'n1' }, { ack: 7 }), 'INVALID_MESSAGE'],
  ['an ack that is long', update({ id: 'n1' }, { ack: 'x'.repeat(257) }), 'INVALID_MESSAGE'],
  ['no collection', update({ id: 'n1' }, { data: { document: { id: 'n1' } } }), 'INVALID_MESSAGE'],
  [
    'no documentId',
    JSON.stringify({ type: 'DATA_DELETE', ...who, data: { collection: 'notes' } }),
    'INVALID_MESSAGE',
  ],
  ['a record without an id', update({ text: 'x' }), 'INVALID_NAME'],
  ['an empty id', update({ id: '' }), 'INVALID_NAME'],
  ['an id with a control character', update({ id: 'a\u0000b' }), 'INVALID_NAME'],
  ['an id of 257 characters', update({ id: 'x'.repeat(257) }), 'INVALID_NAME'],
  ['an id that is no whole number', update({ id: 1.5 }), 'INVALID_NAME'],
  ['an id beyond the safe integers', update({ id: 2 ** 53 }), 'INVALID_NAME'],
  ['an id that is an object', update({ id: {} }), 'INVALID_NAME'],
  ['the id __proto__', update({ id: '__proto__' }), 'INVALID_NAME'],
  ['a field __proto__', `${update({ id: 'n1' }).slice(0, -3)},"__proto__":{"admin":true}}}}`, 'INVALID_NAME'],
  ['a nested field constructor', update({ id: 'n1', a: [{ constructor: 1 }] }), 'INVALID_NAME'],
  ['a field without a name', update({ id: 'n1', '': 1 }), 'INVALID_NAME'],
  ['a field name of 257 characters', update({ id: 'n1', ['x'.repeat(257)]: 1 }), 'INVALID_NAME'],
  [
    'the collection __proto__',
    update({}, { data: { collection: '__proto__', document: { id: 'n1' } } }),
    'INVALID_NAME',
  ],
  ['65 levels', update({ id: 'n1', a: nested(64) }), 'TOO_DEEP'],
  ['50,000 levels', deep, 'TOO_DEEP'],
];

describe('[L10 D6] a bad message gets ERROR, is not applied, and the connection stays open', () => {
  test.each(BAD)('%s', async (_, text, code) => {
    const store = new ObservedStore(new MemoryStore());
    const server = await useUnpaced({}, { store });
    const tablet = await useJson(server, 'anna', 'tablet');
    const desk = await useJson(server, 'anna', 'desk');
    tablet.ws.send(text);
    const error = await tablet.next('ERROR');
    expect(error).toEqual({ type: 'ERROR', code, message: expect.stringMatching(/^\S.+/) });
    expect(error.message).not.toContain('    at ');
    await tablet.saved();
    await desk.heard();
    expect(store.commits).toBe(0);
    expect(desk.of('DATA_UPDATE')).toEqual([]);
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
  });

  test('what is just allowed is taken', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    const long = 'x'.repeat(256);
    tablet.update(long, { id: long, [long]: null, a: nested(63) }, { ack: long });
    tablet.update('notes', { id: 2 ** 53 - 1 }, { timestamp: null });
    tablet.update(
      'notes',
      { id: ' ' },
      { data: { collection: 'notes', document: { id: 'ä/ö ' }, timestamp: 0 } },
    );
    expect((await tablet.next('ACK')).ack).toBe(long);
    await tablet.saved();
    expect(tablet.of('ERROR')).toEqual([]);
    const desk = await useJson(server, 'anna', 'desk');
    expect(desk.store[long]?.[long]).toEqual({ id: long, [long]: null, a: nested(63) });
    expect(Object.keys(desk.store.notes ?? {}).sort()).toEqual(['9007199254740991', 'ä/ö ']);
  });

  test('every code of the cases stands in the table of errors', () => {
    for (const [, , code] of BAD) expect(ERRORS[code].message).toBeTruthy();
  });

  test.each([
    ['with other bytes than UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), 'INVALID_JSON'],
    ['with no JSON', Buffer.from('{"type":'), 'INVALID_JSON'],
    ['with 50,000 levels', Buffer.from(deep), 'TOO_DEEP'],
  ])('a binary frame %s', async (_, frame, code) => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    tablet.ws.send(frame);
    expect((await tablet.next('ERROR')).code).toBe(code);
    await tablet.saved();
  });

  test.each(BAD.filter(([what]) => !/ack|nothing|JSON|null|50,000/.test(what)))(
    '%s: the ERROR has the ack of the message',
    async (_, text, code) => {
      const server = await useUnpaced();
      const tablet = await useJson(server, 'anna', 'tablet');
      tablet.ws.send(text.replace(/}$/, ',"ack":"w1"}'));
      expect(await tablet.next('ERROR')).toMatchObject({ code, ack: 'w1' });
      await tablet.saved();
    },
  );
});

describe('[L10 S4] too many and too large', () => {
  const bad = (device: JsonDevice, times: number): void => {
    for (let i = 0; i < times; i++) device.ws.send('bad');
  };

  test('20 bad messages in a minute close with 1008; 19 do not', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    bad(tablet, 19);
    await tablet.saved();
    expect(tablet.of('ERROR')).toHaveLength(19);
    bad(tablet, 1);
    expect((await tablet.end()).code).toBe(1008);
    expect(tablet.of('ERROR')).toHaveLength(20);
    await useJson(server, 'anna', 'tablet');
  });

  test('MAX_JSON_MESSAGE: one byte past it gets ERROR, beyond 16 times it the connection closes with 1009', async () => {
    const server = await useUnpaced({ MAX_JSON_MESSAGE: '1000' });
    const tablet = await useJson(server, 'anna', 'tablet');
    const sized = (bytes: number): string => {
      const rest = Buffer.byteLength(update({ id: 'n1', text: '' }));
      // Characters of two bytes: the limit counts bytes.
      return update({ id: 'n1', text: 'ä'.repeat((bytes - rest) >> 1) + 'x'.repeat((bytes - rest) % 2) });
    };
    tablet.ws.send(sized(1000));
    await tablet.saved();
    expect(tablet.of('ERROR')).toEqual([]);
    tablet.ws.send(sized(1001));
    expect((await tablet.next('ERROR')).code).toBe('MESSAGE_TOO_LARGE');
    tablet.ws.send(sized(16_000));
    expect((await tablet.next('ERROR')).code).toBe('MESSAGE_TOO_LARGE');
    await tablet.saved();
    tablet.ws.send(sized(16_001));
    expect((await tablet.end()).code).toBe(1009);
    const again = await useJson(server, 'anna', 'tablet');
    expect(again.store.notes?.n1?.text).toContain('äää');
  });

  test('MAX_DEPTH: one level past it gets ERROR', async () => {
    const server = await useUnpaced({ MAX_DEPTH: '4' });
    const tablet = await useJson(server, 'anna', 'tablet');
    tablet.update('notes', { id: 'at', a: nested(3) });
    tablet.update('notes', { id: 'past', a: nested(4) });
    expect((await tablet.next('ERROR')).code).toBe('TOO_DEEP');
    await tablet.saved();
    const desk = await useJson(server, 'anna', 'desk');
    expect(Object.keys(desk.store.notes ?? {})).toEqual(['at']);
  });

  test('MAX_DEPTH=0 leaves the ceiling above which the stack would end', async () => {
    const server = await useUnpaced({ MAX_DEPTH: '0' });
    const tablet = await useJson(server, 'anna', 'tablet');
    tablet.update('notes', { id: 'past', a: nested(500) });
    expect((await tablet.next('ERROR')).code).toBe('TOO_DEEP');
    tablet.ws.send(deep);
    expect((await tablet.next('ERROR')).code).toBe('TOO_DEEP');
    const record = { id: 'at', a: nested(499) };
    tablet.update('notes', record);
    await tablet.saved();
    const desk = await useJson(server, 'anna', 'desk');
    expect(desk.store.notes).toEqual({ at: record });
    tablet.update('notes', { id: 'at', a: nested(498) });
    tablet.delete('notes', 'at');
    await tablet.saved();
    expect([desk.store.notes, tablet.closed]).toEqual([{}, null]);
  });
});
