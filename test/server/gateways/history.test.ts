/** The history over HTTP, and bringing records back (H6). */
import { describe, expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import { collectingLog } from '../../../server/log.js';
import * as format from '../../../server/store/format.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { Collections } from '../../../shared/json.js';
import { historyProblems, readHistory, readHistoryPage, type ShownEntry } from '../../support/history.js';
import { changeByte, LevelFixture } from '../../support/level-fixture.js';
import { ObservedStore } from '../../support/observed-store.js';
import type { TestServer } from '../../support/server.js';
import { useJson, useNative, useServer } from '../../support/use.js';

const USER = 'anna';
const placeOf = ({ url }: TestServer) => ({ url, user: USER });
const revisionsOf = (entries: readonly ShownEntry[]): number[] => entries.map(({ revision }) => revision);

const get = (server: TestServer, query = '', user = USER) =>
  fetch(`${server.url}/api/history/${user}${query}`);

const postRestore = (server: TestServer, body: unknown, headers: Record<string, string> = {}, user = USER) =>
  fetch(`${server.url}/api/history/${user}/restore`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Device-ID': 'desk', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

/** Brings a note back and returns the answer. */
async function restore(server: TestServer, id: string | number, revision: number, collection = 'notes') {
  const response = await postRestore(server, { collection, id, revision });
  const answer = (await response.json()) as { collection: string; document: object; revision: number };
  expect([response.status, answer]).toEqual([200, expect.anything()]);
  return answer;
}

async function expectError(
  response: Response,
  status: number,
  code: string,
  message = /^\S.+/,
): Promise<void> {
  const text = await response.text();
  expect([response.status, JSON.parse(text)]).toEqual([
    status,
    { code, message: expect.stringMatching(message) },
  ]);
  expect(text).not.toMatch(/node_modules|\.ts|\.js|\\n/);
}

const update = (document: object, collection = 'notes') => ({
  type: 'DATA_UPDATE',
  userId: USER,
  deviceId: 'fetcher',
  data: { collection, document },
});
const remove = (documentId: string | number, collection = 'notes') => ({
  type: 'DATA_DELETE',
  userId: USER,
  deviceId: 'fetcher',
  data: { collection, documentId },
});

/** Makes changes, each in a request of its own. */
async function change(server: TestServer, ...changes: object[]): Promise<void> {
  for (const each of changes) {
    const response = await fetch(`${server.url}/api/sync/${USER}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Device-ID': 'fetcher' },
      body: JSON.stringify({ changes: [each] }),
    });
    expect(response.status).toBe(200);
  }
}

/** All of a history holds together, and ends in what GET /api/sync gives. */
async function expectConsistent(server: TestServer): Promise<ShownEntry[]> {
  const sync = await fetch(`${server.url}/api/sync/${USER}`);
  const entries = await readHistory(placeOf(server), { limit: 7 });
  const revision = Number(/^"(\d+)\./.exec(sync.headers.get('etag') ?? '')?.[1]);
  expect(historyProblems(entries, (await sync.json()) as Collections, revision)).toEqual([]);
  return entries;
}

describe('[H6 H5] GET /api/history/:userId', () => {
  test('answers the changes of all records, the newest first, with all that is known of each', async () => {
    const server = await useServer();
    const began = Date.now();
    const tablet = await useJson(server, USER, 'tablet');
    const phone = await useNative(server, USER, 'phone');
    tablet.update('notes', { id: 'n1', text: 'a', list: [{ id: 1, x: null }] });
    await tablet.saved();
    await phone.until(() => phone.json().notes?.n1);
    phone.record('notes', 'n1').set('text', 'b');
    await phone.saved();
    await change(server, remove('n1'));
    const response = await get(server);
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(response.headers.get('cache-control')).toBe('private, no-store');
    expect(response.headers.get('etag')).toBeNull();
    const page = (await response.json()) as { entries: ShownEntry[]; next: number | null };
    const [one, two] = ['a', 'b'].map((text) => ({ id: 'n1', text, list: [{ id: 1, x: null }] }));
    const common = {
      collection: 'notes',
      id: 'n1',
      actor: null,
      at: expect.any(Number),
      madeAt: expect.any(Number),
    };
    expect(page).toEqual({
      entries: [
        { revision: 3, before: two, after: null, deviceId: 'fetcher', via: 'http', ...common },
        { revision: 2, before: one, after: two, deviceId: 'phone', via: 'yjs', ...common },
        { revision: 1, before: null, after: one, deviceId: 'tablet', via: 'json', ...common },
      ],
      next: null,
    });
    for (const { at, madeAt } of page.entries) {
      expect([at >= began, at <= Date.now(), madeAt <= at]).toEqual([true, true, true]);
    }
    await expectConsistent(server);
  });

  test('is empty for a user who was never met, and makes no document of it', async () => {
    const memory = new MemoryStore();
    const server = await useServer({}, { store: memory });
    expect(await readHistoryPage({ url: server.url, user: 'nobody' })).toEqual({ entries: [], next: null });
    expect([...memory.contents.keys()]).toEqual([]);
  });

  test('shows no user the changes of another one', async () => {
    const server = await useServer();
    await change(server, update({ id: 'n1' }));
    const tablet = await useJson(server, 'bert', 'tablet');
    tablet.update('notes', { id: 'b1' });
    await tablet.saved();
    expect((await readHistory({ url: server.url, user: 'bert' })).map(({ id }) => id)).toEqual(['b1']);
  });

  /** 130 changes: of notes and visits, of ids that are in both. */
  async function useLong(): Promise<TestServer> {
    const server = await useServer({ MESSAGE_RATE: '0' });
    const tablet = await useJson(server, USER, 'tablet');
    for (let n = 1; n <= 130; n++) {
      const collection = n % 3 === 0 ? 'visits' : 'notes';
      tablet.update(collection, { id: `x${n % 2}`, n });
    }
    await tablet.saved();
    return server;
  }

  test('pages reach every entry exactly once, and so they do while others write', async () => {
    const server = await useLong();
    const all = Array.from({ length: 130 }, (_, n) => 130 - n);
    expect(revisionsOf((await readHistoryPage(placeOf(server))).entries), 'the default').toEqual(
      all.slice(0, 50),
    );
    for (const limit of [1, 49, 64, 65, 130, 131, 500]) {
      const entries = await readHistory(placeOf(server), { limit });
      expect(revisionsOf(entries.reverse()), `pages of ${limit}`).toEqual(all);
    }
    const first = await readHistoryPage(placeOf(server), { limit: 60 });
    await change(server, update({ id: 'x0', n: 0 }), remove('x1'));
    const second = await readHistoryPage(placeOf(server), { limit: 60, before: first.next ?? 0 });
    const third = await readHistoryPage(placeOf(server), { limit: 60, before: second.next ?? 0 });
    const pages = [first, second, third].flatMap(({ entries }) => entries);
    expect([revisionsOf(pages), third.next]).toEqual([all, null]);
    expect((await expectConsistent(server)).slice(0, 130)).toEqual(pages.reverse());
  });

  test('a page that ends with the oldest entry is the last one', async () => {
    const server = await useServer();
    await change(server, update({ id: 'n1' }), update({ id: 'n2' }));
    const pages = [
      await readHistoryPage(placeOf(server), { limit: 2 }),
      await readHistoryPage(placeOf(server), { limit: 1 }),
      await readHistoryPage(placeOf(server), { limit: 1, before: 2 }),
      await readHistoryPage(placeOf(server), { before: 1 }),
      await readHistoryPage(placeOf(server), { before: 0 }),
    ];
    expect(pages.map(({ entries, next }) => [revisionsOf(entries), next])).toEqual([
      [[2, 1], null],
      [[2], 2],
      [[1], null],
      [[], null],
      [[], null],
    ]);
  });

  test('of one collection, of one id, of both, a page at a time', async () => {
    const server = await useLong();
    const all = (await readHistory(placeOf(server))).map(({ collection, id, revision }) => [
      `${collection}/${id}`,
      revision,
    ]);
    const of = (pattern: RegExp) => all.filter(([name]) => pattern.test(String(name))).map(([, n]) => n);
    for (const [query, pattern] of [
      [{ collection: 'visits' }, /^visits/],
      [{ id: 'x1' }, /x1$/],
      [{ collection: 'notes', id: 'x0' }, /^notes\/x0$/],
      [{ collection: 'letters' }, /^letters/],
      [{ id: 'x3' }, /x3$/],
    ] as const) {
      expect(of(pattern).length > 0 || pattern.test('letters/x3')).toBe(true);
      for (const limit of [4, 500]) {
        const entries = await readHistory(placeOf(server), { ...query, limit });
        expect(revisionsOf(entries), JSON.stringify(query)).toEqual(of(pattern));
      }
    }
    const [last] = (await readHistoryPage(placeOf(server), { collection: 'visits', limit: 1 })).entries;
    expect([last?.before, last?.after], 'what a record was before, whatever was filtered').toEqual([
      { id: 'x1', n: 123 },
      { id: 'x1', n: 129 },
    ]);
  });

  test('[D6] names of any script, and ids that are numbers', async () => {
    const server = await useServer();
    await change(
      server,
      update({ id: 7, n: 1 }),
      update({ id: '生年 & ?=#/%', n: 2 }, 'größe 👩🏽'),
      remove(7),
    );
    const seven = await readHistory(placeOf(server), { collection: 'notes', id: 7 });
    expect(seven.map(({ id, before, after }) => [id, before, after])).toEqual([
      ['7', null, { id: 7, n: 1 }],
      ['7', { id: 7, n: 1 }, null],
    ]);
    const named = await readHistory(placeOf(server), { collection: 'größe 👩🏽', id: '生年 & ?=#/%' });
    expect(revisionsOf(named)).toEqual([2]);
  });

  test.each([
    ['limit=0', 'limit'],
    ['limit=501', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=1.5', 'limit'],
    ['limit=', 'limit'],
    ['limit=many', 'limit'],
    ['limit=1e2', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['limit[a]=1', 'limit'],
    ['before=-1', 'before'],
    ['before=x', 'before'],
    ['before=99999999999999999999', 'before'],
    ['collection=', 'collection'],
    ['collection=__proto__', 'collection'],
    ['collection=a&collection=b', 'collection'],
    ['id=a%00b', 'id'],
    ['id=', 'id'],
    [`id=${'x'.repeat(257)}`, 'id'],
  ])('the query %s is refused, and the field is named', async (query, field) => {
    const server = await useServer();
    await change(server, update({ id: 'n1' }));
    const response = await get(server, `?${query}`);
    if (query.startsWith('limit[')) expect((await response.json()) as object).toMatchObject({ next: null });
    else await expectError(response, 400, 'INVALID_MESSAGE', new RegExp(`^${field}: `));
  });

  test.each(['limit=1', 'limit=500', 'before=1', 'before=999999999999999', 'collection=a&id=b', 'other=1'])(
    'the query %s is answered',
    async (query) => {
      expect((await get(await useServer(), `?${query}`)).status).toBe(200);
    },
  );

  test('[D6] another user name, and a method or a path that does not exist', async () => {
    const server = await useServer();
    await expectError(await get(server, '', 'a%20b'), 400, 'INVALID_IDENTITY');
    await expectError(await fetch(`${server.url}/api/history/anna`, { method: 'POST' }), 404, 'NOT_FOUND');
    await expectError(await fetch(`${server.url}/api/history/anna/restore`), 404, 'NOT_FOUND');
  });

  test('[N3] waits until all that it shows is durable', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useServer({}, { store });
    await change(server, update({ id: 'n1', text: 'a' }));
    const tablet = await useJson(server, USER, 'tablet');
    const before = store.commits;
    memory.hold();
    tablet.update('notes', { id: 'n1', text: 'b' });
    await store.until(() => store.commits > before);
    let answered = false;
    const reading = readHistoryPage(placeOf(server)).then((page) => {
      answered = true;
      return page;
    });
    for (const path of ['/health', '/health', '/ready']) await fetch(server.url + path);
    await tablet.heard();
    expect(answered).toBe(false);
    memory.release();
    expect(revisionsOf((await reading).entries)).toEqual([2, 1]);
  });

  test('[N3] a change that could not be saved is in no answer', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useServer({}, { store });
    await change(server, update({ id: 'n1', text: 'a' }));
    const tablet = await useJson(server, USER, 'tablet');
    const before = store.commits;
    memory.hold();
    tablet.update('notes', { id: 'n1', text: 'b' });
    await store.until(() => store.commits > before);
    const reading = get(server);
    for (const path of ['/health', '/ready']) await fetch(server.url + path);
    memory.failNext({ kept: false });
    memory.release();
    await expectError(await reading, 503, 'NOT_SAVED');
    expect(revisionsOf(await readHistory(placeOf(server)))).toEqual([1]);
  });
});

describe('[H6] POST /api/history/:userId/restore', () => {
  test('undoes an edit: everybody gets the record, and it is a change of its own', async () => {
    const server = await useServer();
    const tablet = await useJson(server, USER, 'tablet');
    const phone = await useNative(server, USER, 'phone');
    tablet.update('notes', { id: 'n1', text: 'a', dose: { am: 1 } });
    await tablet.saved();
    await phone.until(() => phone.json().notes?.n1);
    phone.doc.transact(() => {
      phone.record('notes', 'n1').set('text', 'b');
      (phone.record('notes', 'n1').get('dose') as Y.Map<unknown>).set('pm', 2);
      phone.record('notes', 'n1').set('extra', true);
    });
    await phone.saved();
    const before = { id: 'n1', text: 'a', dose: { am: 1 } };
    const answer = await restore(server, 'n1', 1);
    expect(answer).toEqual({ collection: 'notes', document: before, revision: 3 });
    await tablet.until(() => tablet.of('DATA_UPDATE').at(-1)?.fromDevice === 'desk');
    await phone.until(() => phone.json().notes?.n1?.text === 'a');
    expect([tablet.store.notes?.n1, phone.json().notes?.n1]).toEqual([before, before]);
    const last = (await expectConsistent(server)).at(-1);
    expect(last).toMatchObject({ revision: 3, deviceId: 'desk', via: 'restore', actor: null, after: before });
    expect(last?.before).toEqual({ id: 'n1', text: 'b', dose: { am: 1, pm: 2 }, extra: true });
    await restore(server, 'n1', 2);
    await phone.until(() => phone.json().notes?.n1?.text === 'b');
    expect(phone.json().notes?.n1).toEqual(last?.before);
  });

  test('brings back a record that was deleted; who had deleted it may write it again', async () => {
    const server = await useServer();
    const tablet = await useJson(server, USER, 'tablet');
    const phone = await useNative(server, USER, 'phone');
    tablet.update('notes', { id: 'n1', text: 'a' });
    await tablet.saved();
    tablet.delete('notes', 'n1');
    await tablet.saved();
    expect(await restore(server, 'n1', 1)).toMatchObject({ document: { id: 'n1', text: 'a' }, revision: 3 });
    await tablet.until(() => tablet.store.notes?.n1);
    await phone.until(() => phone.json().notes?.n1);
    expect([tablet.store.notes?.n1, phone.json().notes?.n1]).toEqual([
      { id: 'n1', text: 'a' },
      { id: 'n1', text: 'a' },
    ]);
    phone.record('notes', 'n1').set('text', 'b');
    await tablet.until(() => tablet.store.notes?.n1?.text === 'b');
    expect((await expectConsistent(server)).map(({ via }) => via)).toEqual([
      'json',
      'json',
      'restore',
      'yjs',
    ]);
  });

  test('a record that is what it was already is no change', async () => {
    const store = new ObservedStore(new MemoryStore());
    const server = await useServer({}, { store });
    await change(server, update({ id: 'n1', text: 'a' }), update({ id: 'n2' }));
    const { commits } = store;
    expect(await restore(server, 'n1', 2)).toEqual({
      collection: 'notes',
      document: { id: 'n1', text: 'a' },
      revision: 2,
    });
    expect(store.commits).toBe(commits);
    expect(await readHistory(placeOf(server))).toHaveLength(2);
  });

  test('[D6] a record whose id is a number, by the number and by its text', async () => {
    const server = await useServer();
    await change(server, update({ id: 7, n: 1 }), update({ id: 7, n: 2 }), remove(7));
    expect((await restore(server, 7, 1)).document).toEqual({ id: 7, n: 1 });
    expect((await restore(server, '7', 2)).document).toEqual({ id: 7, n: 2 });
  });

  test.each([
    ['from before it was made', 'n2', 1],
    ['that was deleted then', 'n1', 3],
    ['from the beginning of time', 'n1', 0],
    ['that never was', 'n3', 3],
    ['from a revision to come', 'n1', 6],
    ['from far in the future', 'n1', Number.MAX_SAFE_INTEGER],
  ])('a record %s is not there', async (_, id, revision) => {
    const server = await useServer();
    await change(
      server,
      update({ id: 'n1' }),
      update({ id: 'n2' }),
      remove('n1'),
      update({ id: 'n1', n: 2 }),
    );
    await change(server, update({ id: 'n2', n: 2 }));
    const response = await postRestore(server, { collection: 'notes', id, revision });
    await expectError(response, 404, 'NOT_IN_HISTORY');
    expect(await expectConsistent(server)).toHaveLength(5);
  });

  test('nor is any of a user who was never met', async () => {
    const memory = new MemoryStore();
    const server = await useServer({}, { store: memory });
    for (const revision of [0, 1]) {
      const response = await postRestore(server, { collection: 'notes', id: 'n1', revision }, {}, 'nobody');
      await expectError(response, 404, 'NOT_IN_HISTORY');
    }
    expect([...memory.contents.keys()]).toEqual([]);
  });

  test.each([
    ['no JSON', '{', 'INVALID_JSON', /./],
    ['null', 'null', 'INVALID_JSON', /./],
    ['a list', '[]', 'INVALID_MESSAGE', /./],
    ['empty', '{}', 'INVALID_MESSAGE', /^collection: /],
    ['without an id', { collection: 'notes', revision: 1 }, 'INVALID_MESSAGE', /^id: /],
    ['without a revision', { collection: 'notes', id: 'n1' }, 'INVALID_MESSAGE', /^revision: /],
    [
      'with a text as revision',
      { collection: 'notes', id: 'n1', revision: '1' },
      'INVALID_MESSAGE',
      /^revision: /,
    ],
    [
      'with half a revision',
      { collection: 'notes', id: 'n1', revision: 0.5 },
      'INVALID_MESSAGE',
      /^revision: /,
    ],
    [
      'with a negative one',
      { collection: 'notes', id: 'n1', revision: -1 },
      'INVALID_MESSAGE',
      /^revision: /,
    ],
    ['with a bad id', { collection: 'notes', id: '__proto__', revision: 1 }, 'INVALID_MESSAGE', /^id: /],
    ['with half an id', { collection: 'notes', id: 1.5, revision: 1 }, 'INVALID_MESSAGE', /^id: /],
    ['with an object as id', { collection: 'notes', id: {}, revision: 1 }, 'INVALID_MESSAGE', /^id: /],
    [
      'with a bad collection',
      { collection: 'a\u0000', id: 'n1', revision: 1 },
      'INVALID_MESSAGE',
      /^collection: /,
    ],
  ])('a body that is %s is refused', async (_, body, code, message) => {
    const server = await useServer();
    await change(server, update({ id: 'n1' }));
    await expectError(await postRestore(server, body), 400, code, message);
    expect(await readHistory(placeOf(server))).toHaveLength(1);
  });

  test('a request without a body, too large a one, a bad user and a bad device are refused', async () => {
    const server = await useServer({ MAX_HTTP_BODY: '100' });
    const url = `${server.url}/api/history/${USER}/restore`;
    await expectError(await fetch(url, { method: 'POST' }), 400, 'INVALID_MESSAGE');
    await expectError(await postRestore(server, '{}'.padEnd(101)), 413, 'MESSAGE_TOO_LARGE');
    await expectError(await postRestore(server, '{}', {}, 'a%20b'), 400, 'INVALID_IDENTITY'); // before the body is read
    const body = { collection: 'notes', id: 'n1', revision: 1 };
    await expectError(await postRestore(server, body, {}, 'a%20b'), 400, 'INVALID_IDENTITY');
    await expectError(await postRestore(server, body, { 'Device-ID': 'a/b' }), 400, 'INVALID_IDENTITY');
  });

  test('a request that names no device gets a name of its own in the history', async () => {
    const server = await useServer();
    await change(server, update({ id: 'n1', n: 1 }), update({ id: 'n1', n: 2 }));
    await postRestore(server, { collection: 'notes', id: 'n1', revision: 1 }, { 'Device-ID': '' });
    const [last] = (await readHistoryPage(placeOf(server), { limit: 1 })).entries;
    expect([last?.via, last?.deviceId]).toEqual(['restore', expect.stringMatching(/^device-/)]);
  });

  test('[N3] is answered, and shown to others, only once it is durable', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useServer({}, { store });
    await change(server, update({ id: 'n1', text: 'a' }), update({ id: 'n1', text: 'b' }));
    const tablet = await useJson(server, USER, 'tablet');
    const phone = await useNative(server, USER, 'phone');
    await tablet.saved();
    const { commits } = store;
    memory.hold();
    let answered = false;
    const restoring = restore(server, 'n1', 1).then((answer) => {
      answered = true;
      return answer;
    });
    await store.until(() => store.commits === commits + 1);
    for (const path of ['/health', '/ready']) await fetch(server.url + path);
    await tablet.heard();
    expect([answered, tablet.store.notes?.n1?.text, phone.json().notes?.n1?.text]).toEqual([false, 'b', 'b']);
    memory.release();
    expect((await restoring).revision).toBe(3);
    await tablet.until(() => tablet.store.notes?.n1?.text === 'a');
    await phone.until(() => phone.json().notes?.n1?.text === 'a');
  });

  test('[N3] waits for changes that came before it, and gets 503 where it could not be saved', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useServer({}, { store });
    await change(server, update({ id: 'n1', text: 'a' }), update({ id: 'n1', text: 'b' }));
    memory.failNext({ kept: false });
    const refused = await postRestore(server, { collection: 'notes', id: 'n1', revision: 1 });
    await expectError(refused, 503, 'NOT_SAVED');
    expect(await expectConsistent(server)).toHaveLength(2);
    await restore(server, 'n1', 1);
    expect(await expectConsistent(server)).toHaveLength(3);
  });
});

describe('[H6 D2] a record comes back with its types', () => {
  /** A native device that fills a note, and a server that has it at revision 1. */
  async function useFilled(fields: Record<string, unknown>) {
    const server = await useServer();
    const phone = await useNative(server, USER, 'phone');
    phone.collection('notes').set('n1', new Y.Map(Object.entries(fields)));
    await phone.saved();
    const note = () => phone.collection('notes').get('n1') as Y.Map<unknown>;
    return { server, phone, note };
  }

  test('a text that is still there is edited back, and stays the same text', async () => {
    const text = new Y.Text('take one in the morning');
    const { server, phone, note } = await useFilled({ text });
    const laptop = await useNative(server, USER, 'laptop');
    phone.doc.transact(() => {
      text.delete(0, 5);
      text.insert(text.length, ' and one 👩‍⚕️ at night');
      text.format(0, 3, { bold: true });
    });
    await phone.saved();
    await restore(server, 'n1', 1);
    await phone.until(() => text.toString() === 'take one in the morning');
    expect(note().get('text'), 'the very same').toBe(text);
    expect(text.toDelta()).toEqual([{ insert: 'take one in the morning' }]);
    await restore(server, 'n1', 2);
    await laptop.until(() => String(laptop.record('notes', 'n1').get('text')).includes('night'));
    expect((laptop.record('notes', 'n1').get('text') as Y.Text).toDelta()).toEqual([
      { insert: 'one', attributes: { bold: true } },
      { insert: ' in the morning and one 👩‍⚕️ at night' },
    ]);
  });

  test('a text that was replaced by a string, and one of a deleted record, are texts again', async () => {
    const { server, phone, note } = await useFilled({ text: new Y.Text('long text') });
    note().set('text', 'a string');
    await phone.saved();
    await restore(server, 'n1', 1);
    await phone.until(() => note().get('text') instanceof Y.Text);
    expect(String(note().get('text'))).toBe('long text');
    phone.collection('notes').delete('n1');
    await phone.saved();
    await restore(server, 'n1', 1);
    await phone.until(() => phone.collection('notes').has('n1'));
    expect([note().get('text') instanceof Y.Text, String(note().get('text'))]).toEqual([true, 'long text']);
    await restore(server, 'n1', 2);
    await phone.until(() => note().get('text') === 'a string');
    await expectConsistent(server);
  });

  test('what was stored as one value, lists in lists, bytes, XML, and numbers that JSON does not know', async () => {
    const xml = new Y.XmlFragment();
    const element = new Y.XmlElement('p');
    element.setAttribute('title', 'x');
    xml.insert(0, [element, new Y.XmlText('said')]);
    const inner = Y.Array.from([1, 'two', { three: [3] }]);
    const { server, phone, note } = await useFilled({
      plain: { a: [1, { b: null }] },
      list: Y.Array.from([inner, [4, [5]], new Y.Map([['id', 'e1']]), new Y.Text('in a list')]),
      bytes: Uint8Array.of(1, 2, 250),
      xml,
      big: 12n,
      infinite: Number.POSITIVE_INFINITY,
      nothing: null,
    });
    const shape = () => {
      const list = note().get('list') as Y.Array<unknown>;
      const [first, plain, map, text] = list.toArray();
      return {
        plain: note().get('plain'),
        list: [(first as Y.Array<unknown>).toArray(), plain, (map as Y.Map<unknown>).toJSON(), String(text)],
        isText: text instanceof Y.Text,
        bytes: note().get('bytes'),
        xml: [note().get('xml') instanceof Y.XmlFragment, String(note().get('xml'))],
        others: ['big', 'infinite', 'nothing', 'id'].map((name) => note().get(name)),
      };
    };
    const before = shape();
    expect(before.others).toEqual([12n, Number.POSITIVE_INFINITY, null, undefined]);
    const tablet = await useJson(server, USER, 'tablet');
    // A JSON device makes something else of every field.
    tablet.update('notes', {
      id: 'n1',
      plain: { a: [2] },
      list: [[1, 'two'], [4], { id: 'e2' }],
      bytes: 'AA==',
      xml: '<p></p>',
      big: 13,
      infinite: 1,
      nothing: 0,
    });
    await tablet.saved();
    await phone.until(() => note().get('nothing') === 0);
    await restore(server, 'n1', 1);
    await phone.until(() => note().get('nothing') === null);
    expect(shape()).toEqual(before);
    phone.collection('notes').delete('n1');
    await phone.saved();
    await restore(server, 'n1', 1);
    await phone.until(() => phone.collection('notes').has('n1'));
    expect(shape()).toEqual(before);
    await expectConsistent(server);
  });

  test('while a native device goes on editing: what it adds stays, and all come to the same', async () => {
    const { server, phone, note } = await useFilled({ text: new Y.Text('a'), list: Y.Array.from(['x']) });
    const laptop = await useNative(server, USER, 'laptop');
    const tablet = await useJson(server, USER, 'tablet');
    for (let n = 0; n < 30; n++) {
      const restoring = restore(server, 'n1', 1);
      phone.doc.transact(() => {
        note().set('n', n);
        (note().get('text') as Y.Text).insert(0, `${n} `);
        (note().get('list') as Y.Array<unknown>).push([n]);
      });
      await restoring;
      if (n % 10 === 9) {
        phone.offline();
        note().set('offline', n);
        await restore(server, 'n1', 1);
        await phone.online();
        await phone.saved();
        expect(note().get('offline'), 'made while the record was brought back').toBe(n);
      }
    }
    await phone.saved();
    await Promise.all([laptop.saved(), tablet.saved()]);
    const entries = await expectConsistent(server);
    const { id: _, ...last } = entries.at(-1)?.after ?? {};
    expect([phone.json().notes?.n1, laptop.json().notes?.n1]).toEqual([last, last]);
    expect(tablet.store.notes?.n1).toEqual({ id: 'n1', ...last });
    expect(entries.filter(({ via }) => via === 'restore').length).toBeGreaterThan(3);
    await restore(server, 'n1', 1);
    await phone.until(() => String(note().get('text')) === 'a');
    expect(note().toJSON()).toEqual({ text: 'a', list: ['x'] });
  });

  test('[L9] a deletion from a queue, made before the record was brought back, does not take it away', async () => {
    const server = await useServer();
    await change(server, update({ id: 'n1', text: 'a' }));
    const tablet = await useJson(server, USER, 'tablet');
    await tablet.heard();
    await tablet.close();
    const made = Date.now();
    await change(server, remove('n1'));
    await restore(server, 'n1', 1);
    const again = await useJson(server, USER, 'tablet');
    again.delete('notes', 'n1', { data: { collection: 'notes', documentId: 'n1', timestamp: made } });
    await again.saved();
    await again.until(() => again.store.notes?.n1);
    expect(again.store.notes?.n1).toEqual({ id: 'n1', text: 'a' });
    await expectConsistent(server);
  });
});

describe('[H6 L8 P5] a history that is damaged on disk', () => {
  /** A note of ten changes, of which the fourth is damaged; the tablet had seen the first, and wrote after the seventh. */
  async function useDamaged() {
    const fixture = await LevelFixture.create();
    onTestFinished(() => fixture.remove());
    const first = await useServer({}, { store: await fixture.open() });
    await change(first, update({ id: 'n1', a: 0, b: 0 }));
    const tablet = await useJson(first, USER, 'tablet');
    await tablet.saved();
    await tablet.close();
    for (let a = 1; a < 7; a++) await change(first, update({ id: 'n1', a, b: 0 }));
    const made = Date.now();
    while (Date.now() === made) await fetch(`${first.url}/health`);
    for (let a = 7; a < 10; a++) await change(first, update({ id: 'n1', a, b: 0 }));
    await first.close();
    await fixture.edit((db) => changeByte(db, format.historyKey(USER, 4), 4));
    const { log, events } = collectingLog();
    const server = await useServer({}, { store: await fixture.open(), log });
    return { server, made, events };
  }

  test('shows what is newer, brings back what is newer, and everything else works', async () => {
    const { server, events } = await useDamaged();
    const page = await readHistoryPage(placeOf(server), { limit: 3 });
    expect([revisionsOf(page.entries), page.next]).toEqual([[10, 9, 8], 8]);
    expect(revisionsOf(await readHistory(placeOf(server), { limit: 4 }))).toEqual([5, 6, 7, 8, 9, 10]);
    expect((await restore(server, 'n1', 5)).document).toEqual({ id: 'n1', a: 4, b: 0 });
    const body = { collection: 'notes', id: 'n1', revision: 3 };
    await expectError(await postRestore(server, body), 404, 'NOT_IN_HISTORY');
    await change(server, update({ id: 'n2' }));
    expect(events.map(({ name }) => name)).not.toContain('unexpected');
    expect(events.map(({ name }) => name)).not.toContain('historyDamaged');
  });

  test('is said to be so in the log when a merge needs it, once, and the merge is made without it', async () => {
    const { server, made, events } = await useDamaged();
    const tablet = await useJson(server, USER, 'tablet');
    for (const id of ['n1', 'n1']) {
      const data = { collection: 'notes', document: { id, a: -1, b: 0, c: 1 }, timestamp: made };
      tablet.update('notes', { id }, { data });
    }
    await tablet.saved();
    await tablet.until(() => tablet.store.notes?.n1?.c === 1);
    expect(tablet.store.notes?.n1).toEqual({ id: 'n1', a: 9, b: 0, c: 1 });
    const damaged = events.filter(({ name }) => name === 'historyDamaged');
    expect(damaged.map(({ fields }) => fields)).toEqual([{ user: USER, revision: 4 }]);
    expect(events.map(({ name }) => name)).not.toContain('unexpected');
    expect(tablet.closed).toBeNull();
  });
});
