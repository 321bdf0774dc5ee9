/** A record that a JSON device was sent, it can send back, however large it is (L10). */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { JsonObject, JsonRecord } from '../../../shared/json.js';
import type { JsonDevice } from '../../support/devices/json-device.js';
import { ask } from '../../support/http-ask.js';
import { ServerProcess } from '../../support/server-process.js';

import { useJson, useNative, useServer } from '../../support/use.js';

/** A native device, which may write what no JSON message could hold. */
async function give(
  server: { readonly url: string },
  records: Readonly<Record<string, JsonObject>>,
): Promise<void> {
  const desk = await useNative(server, 'anna', 'desk');
  desk.doc.transact(() => {
    for (const [id, fields] of Object.entries(records)) {
      const record = desk.record('notes', id);
      for (const [name, value] of Object.entries(fields)) record.set(name, value);
    }
  });
  await desk.saved();
  desk.close();
}

async function recordOf({ url }: { readonly url: string }, id: string): Promise<JsonRecord | undefined> {
  const { body } = await ask(`${url}/api/sync/anna`);
  const { notes = [] } = JSON.parse(body.toString()) as Record<string, JsonRecord[]>;
  return notes.find((record) => record.id === id);
}

const update = (document: object, more: object = {}) => ({
  type: 'DATA_UPDATE',
  data: { collection: 'notes', document },
  ...more,
});

/** A write of the record `id` that has exactly so many bytes. */
function sized(bytes: number, id: string): string {
  const rest = Buffer.byteLength(JSON.stringify(update({ id, text: '' }, { ack: 'w' })));
  return JSON.stringify(update({ id, text: 'y'.repeat(bytes - rest) }, { ack: 'w' }));
}

/** A record and its size as JSON. */
function photo(length: number): { readonly record: JsonRecord; readonly size: number } {
  const record = { id: 'r', photo: 'ä'.repeat(length) };
  return { record, size: Buffer.byteLength(JSON.stringify(record)) };
}

const answer = (device: JsonDevice) =>
  device.until(() => device.of('ACK').at(-1) ?? device.of('ERROR').at(-1));

describe('[L10] what a device was sent', () => {
  test('a record of 1.2 MB can be edited, again and again', async () => {
    const server = await useServer();
    await give(server, { r: { status: 'new', photo: 'x'.repeat(1_200_000) } });
    const phone = await useJson(server, 'anna', 'phone');
    for (let n = 0; n < 25; n++) {
      phone.update('notes', { ...phone.store.notes?.r, status: `seen ${n}` }, { ack: `${n}` });
    }
    await phone.until(() => phone.of('ACK').length === 25);
    expect([phone.of('ERROR'), phone.closed]).toEqual([[], null]);
    expect((await recordOf(server, 'r'))?.status).toBe('seen 24');
  });

  test('one of 5 MB in a document of 16 MB, in a binary frame, too', async () => {
    const server = await useServer();
    const large = Object.fromEntries(['a', 'c', 'd'].map((id) => [id, { photo: id.repeat(5_000_000) }]));
    const small = Object.fromEntries(
      Array.from({ length: 500 }, (_, n) => [`s${n}`, { text: 'z'.repeat(1_000) }]),
    );
    await give(server, { ...large, ...small });
    const phone = await useJson(server, 'anna', 'phone');
    phone.update('notes', { ...phone.store.notes?.c, status: 'seen' }, { ack: 'text' });
    expect((await phone.next('ACK')).ack).toBe('text');
    const bytes = JSON.stringify(update({ ...phone.store.notes?.d, status: 'seen' }, { ack: 'bytes' }));
    phone.ws.send(Buffer.from(bytes));
    expect((await phone.next('ACK')).ack).toBe('bytes');
    for (const id of ['c', 'd']) expect((await recordOf(server, id))?.status).toBe('seen');
  }, 60_000);

  test('the limit is twice the largest record: at it, and one byte past it', async () => {
    const server = await useServer({ MAX_JSON_MESSAGE: '10 KB' });
    const { record, size } = photo(20_000);
    const others = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => [`n${n}`, { text: 'x'.repeat(2_000) }]),
    );
    await give(server, { ...others, r: { photo: record.photo ?? null } });
    const phone = await useJson(server, 'anna', 'phone');
    phone.ws.send(sized(2 * size, 'new'));
    expect((await answer(phone)).type).toBe('ACK');
    phone.ws.send(sized(2 * size + 1, 'new'));
    expect(await phone.next('ERROR')).toMatchObject({ code: 'MESSAGE_TOO_LARGE', ack: 'w' });
    await phone.saved();
    phone.ws.send(sized(16 * 2 * size + 1, 'new'));
    expect((await phone.end()).code).toBe(1009);
  });

  test('a device that was sent small records only has the limit of the option', async () => {
    const server = await useServer({ MAX_JSON_MESSAGE: '10 KB' });
    const others = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => [`n${n}`, { text: 'x'.repeat(2_000) }]),
    );
    await give(server, others);
    const phone = await useJson(server, 'anna', 'phone');
    phone.ws.send(sized(10_000, 'n1'));
    expect((await answer(phone)).type).toBe('ACK');
    phone.ws.send(sized(10_001, 'n1'));
    expect((await phone.next('ERROR')).code).toBe('MESSAGE_TOO_LARGE');
  });

  test('it counts as well when it came as a change, and over an earlier connection of the device', async () => {
    const server = await useServer({ MAX_JSON_MESSAGE: '10 KB' });
    const phone = await useJson(server, 'anna', 'phone');
    const { record } = photo(20_000);
    await give(server, { r: { photo: record.photo ?? null } });
    const { data } = await phone.next('DATA_UPDATE');
    phone.send(update({ ...data.document, status: 'seen' }, { ack: 'live' }));
    expect((await phone.next('ACK')).ack).toBe('live');
    await phone.close();
    // Meanwhile somebody takes the photo away; the phone, which is offline, edits what it has.
    await give(server, { r: { photo: '' } });
    const again = await useJson(server, 'anna', 'phone');
    expect(again.store.notes?.r?.photo).toBe('');
    again.send(update({ ...record, status: 'left' }, { ack: 'queued' }));
    expect((await again.next('ACK')).ack).toBe('queued');
    expect(await recordOf(server, 'r')).toMatchObject({ status: 'left' });
  });

  test('and after a kill of the server', async () => {
    const server = await ServerProcess.start({ MAX_JSON_MESSAGE: '10000' });
    onTestFinished(() => server.dispose());
    const { record } = photo(20_000);
    await give(server, { r: { photo: record.photo ?? null } });
    await useJson(server, 'anna', 'phone');
    await give(server, { r: { photo: '' } });
    await server.kill();
    await server.restart();
    const again = await useJson(server, 'anna', 'phone');
    again.send(update({ ...record, status: 'left' }, { ack: 'queued' }));
    expect((await again.next('ACK')).ack).toBe('queued');
  });

  test('what would become many times as large in memory is refused, however large a message may be', async () => {
    const server = await useServer({ MAX_JSON_MESSAGE: '8 MiB' });
    const phone = await useJson(server, 'anna', 'phone');
    phone.ws.send(`{"type":"DATA_UPDATE","ack":"1","data":[${'[],'.repeat(500_000)}[]]}`);
    expect((await phone.next('ERROR')).code).toBe('MESSAGE_TOO_LARGE');
    phone.ws.send(`{"type":"DATA_UPDATE","data":${'['.repeat(900_000)}${']'.repeat(900_000)}}`);
    expect((await phone.next('ERROR')).code).toBe('TOO_DEEP');
    await phone.saved();
  });
});

describe('[L10] the ack of a message that is too large to be read', () => {
  const filler = 'x'.repeat(20_000);
  const inner = { id: 'n', ack: 'inner', text: filler };
  test.each([
    ['at the end', JSON.stringify(update({ id: 'n', text: filler }, { ack: 'w', userId: 'anna' })), 'w'],
    ['at the beginning', JSON.stringify({ ack: 'w', ...update({ id: 'n', text: filler }) }), 'w'],
    [
      'with what has to be escaped',
      JSON.stringify(update({ id: 'n', text: filler }, { ack: '"\\,}ä' })),
      '"\\,}ä',
    ],
    ['written with spaces', JSON.stringify(update({ id: 'n', text: filler }, { ack: 'w' }), null, 2), 'w'],
    ['not that of the record', JSON.stringify(update(inner)), undefined],
    [
      'not that of the record at the end',
      JSON.stringify(update({ id: 'n', text: filler, ack: 'inner' })),
      undefined,
    ],
    ['not a word of a text', JSON.stringify(update({ id: 'n', text: `${filler}","ack":"inner` })), undefined],
    ['between two long ones it is not found', JSON.stringify({ a: filler, ack: 'w', b: filler }), undefined],
    ['one that is no string', JSON.stringify(update({ id: 'n', text: filler }, { ack: 7 })), undefined],
  ])('%s', async (_, text, ack) => {
    const server = await useServer({ MAX_JSON_MESSAGE: '10 KB' });
    const phone = await useJson(server, 'anna', 'phone');
    for (const message of [text, Buffer.from(text)]) {
      phone.ws.send(message);
      const error = await phone.next('ERROR');
      expect([error.code, error.ack]).toEqual(['MESSAGE_TOO_LARGE', ack]);
    }
  });
});
