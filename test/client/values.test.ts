import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { RecordError } from '../../client/errors.js';
import { closeClients, offlineClient, testClient } from '../support/devices/test-client.js';

afterEach(closeClients);

const refusal = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'done',
    (error: unknown) =>
      error instanceof RecordError ? [error.code, ...error.issues.map(({ path }) => path.join('.'))] : error,
  );

class Hidden {
  readonly #name = 'anna';
  get name(): string {
    return this.#name;
  }
}

const cycle: Record<string, unknown> = {};
cycle.inner = [cycle];

describe('the door for values', () => {
  test('[C13] dates become text, what has toJSON what it says, and undefined fields are left out', async () => {
    const client = await offlineClient();
    const at = new Date('2026-01-02T03:04:05Z');
    const shared = { a: 1 };
    await client.addData('patients', {
      id: 'p',
      at,
      nothing: undefined,
      site: new URL('https://example.org/a'),
      twice: [shared, shared],
      zero: -0,
      'emoji \u{1f600}': '\u{1f600}',
    });
    expect(await client.getLocalData('patients', 'p')).toStrictEqual({
      id: 'p',
      at: '2026-01-02T03:04:05.000Z',
      site: 'https://example.org/a',
      twice: [{ a: 1 }, { a: 1 }],
      zero: 0,
      'emoji \u{1f600}': '\u{1f600}',
    });
  });

  test.each<[string, unknown]>([
    ['NaN', Number.NaN],
    ['Infinity', Number.NEGATIVE_INFINITY],
    ['an invalid date', new Date('never')],
    ['a Blob', new Blob(['x'])],
    ['a Map', new Map([['a', 1]])],
    ['a Set', new Set(['a'])],
    ['a WeakMap', new WeakMap()],
    ['bytes', new Uint8Array(600_000)],
    ['a Buffer', Buffer.from('x')],
    ['an ArrayBuffer', new ArrayBuffer(8)],
    ['a DataView', new DataView(new ArrayBuffer(8))],
    ['half a character', 'a\ud83d'],
    ['the other half', '\udc00b'],
    ['a function', () => 1],
    ['a symbol', Symbol('a')],
    ['a BigInt', 1n],
    ['an Error', new Error('x')],
    ['a regular expression', /x/],
    ['a promise', Promise.resolve(1)],
    ['an object that hides what it has', new Hidden()],
    ['a cycle', cycle],
  ])('[C13] %s is refused with its path, and nothing is stored', async (_, value) => {
    const client = await offlineClient();
    await client.addData('patients', { id: 'p', name: 'Anna' });
    const at = value === cycle ? 'value.inner.0' : 'value';
    expect(await refusal(client.addData('patients', { id: 'q', value }))).toEqual(['INVALID_RECORD', at]);
    expect(await refusal(client.updateData('patients', 'p', { list: [{ a: value }] }))).toEqual([
      'INVALID_RECORD',
      `list.0.a${at.slice(5)}`,
    ]);
    expect(await client.getData('patients')).toEqual([{ id: 'p', name: 'Anna' }]);
    expect(client.getSyncStatus().pendingChanges).toBe(1);
  });

  test('[C13] holes and undefined elements of a list are refused, each with its path', async () => {
    const client = await offlineClient();
    const list = [1, undefined, 2];
    delete list[0];
    expect(await refusal(client.addData('patients', { list, more: Number.NaN }))).toEqual([
      'INVALID_RECORD',
      'list.0',
      'list.1',
      'more',
    ]);
  });

  test('[C13 D6] half a character in an id or a name is refused, and what throws is told', async () => {
    const client = await offlineClient();
    expect(await refusal(client.addData('notes', { id: 'x\ud83d' }))).toEqual(['INVALID_NAME', 'id']);
    expect(await refusal(client.addData('notes', { 'x\ud83d': 1 }))).toEqual(['INVALID_NAME', '']);
    const throwing = {
      get secret(): never {
        throw new TypeError('what the record has');
      },
    };
    const error: unknown = await client.addData('notes', { throwing }).catch((refused: unknown) => refused);
    expect(String(error)).toContain("throwing: This value can't be read (TypeError)");
  });

  test('[C13] what is nested without end is refused for its depth', async () => {
    const client = await offlineClient();
    let deep: unknown = 1;
    for (let level = 0; level < 100_000; level++) deep = [deep];
    await expect(client.addData('notes', { deep })).rejects.toMatchObject({ code: 'TOO_DEEP' });
  });
});

describe('a schema that became stricter', () => {
  const options = { serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false } as const;
  const period = z
    .object({ id: z.string(), from: z.number(), to: z.number(), phone: z.string() })
    .refine(({ from, to }) => from <= to, { path: ['to'], message: 'ends before it begins' });

  async function clientWith(record: Record<string, unknown>, isAsync = false) {
    const client = testClient();
    await client.initialize(options);
    await client.addData('patients', { id: 'p', ...record });
    const schema = isAsync ? period.refine(async () => true) : period;
    await client.initialize({ ...options, schemas: { patients: schema } });
    return client;
  }

  test.each([false, true])(
    '[C13] complains only about what a change touches (it answers later: %s)',
    async (isAsync) => {
      const client = await clientWith({ from: 1, to: 2 }, isAsync);
      const update = (changes: Record<string, unknown>) =>
        refusal(client.updateData('patients', 'p', changes));
      expect(await update({ from: 0 })).toBe('done');
      expect(await update({ id: 'p', from: 0, to: 3 })).toBe('done');
      expect(await update({ from: 'x' })).toEqual(['SCHEMA', 'from']);
      expect(await update({ phone: 7 })).toEqual(['SCHEMA', 'phone']);
      expect(await update({ phone: '1' })).toBe('done');
      expect(await update({ phone: undefined })).toEqual(['SCHEMA', 'phone']);
    },
  );

  test('[C13] and about what a change breaks elsewhere in a record that was valid', async () => {
    const client = await clientWith({ from: 1, to: 2, phone: '1' });
    expect(await refusal(client.updateData('patients', 'p', { from: 3 }))).toEqual(['SCHEMA', 'to']);
  });
});
