// @vitest-environment happy-dom
import { act, type ReactNode, StrictMode, version } from 'react';
import { hydrateRoot } from 'react-dom/client';
import { renderToString } from 'react-dom/server';
import { afterEach, describe, expect, test } from 'vitest';
import type { SyncClient, SyncRecord } from '../../../client/api/api.js';
import {
  type SyncedData,
  SyncProvider,
  useRecord,
  useSyncedAppointments,
  useSyncedData,
  useSyncStatus,
} from '../../../client/react/hooks.js';
import { closeClients, offlineClient, testClient } from '../../support/devices/test-client.js';
import { cleanScreens, render } from '../../support/rendered.js';

// The other way round: what is registered last ends first.
afterEach(closeClients);
cleanScreens();

const RUNS_WITH = process.env.REACT === '18' ? /^18\./ : /^19\./;
const ids = (records: readonly SyncRecord[]): string => records.map(({ id }) => id).join(' ');

/** Renders `look` with each result of the hook, and keeps the results. */
function watch<Result>(use: () => Result, look: (result: Result) => ReactNode) {
  const results: Result[] = [];
  const Watching = (): ReactNode => {
    const result = use();
    results.push(result);
    return look(result);
  };
  return { results, Watching, last: () => results[results.length - 1] as Result };
}

async function show(client: SyncClient, node: ReactNode) {
  return render(<SyncProvider client={client}>{node}</SyncProvider>);
}

test('it is the React that this run is about', () => {
  expect(version).toMatch(RUNS_WITH);
});

describe('useSyncedData', () => {
  test('[C1 C2] shows what is there, and every change of it', async () => {
    const client = await offlineClient();
    await client.addData('appointments', { id: 'a', status: 'booked' });
    const { Watching, last } = watch(
      () => useSyncedAppointments(),
      ({ data }) => data.map(({ id, status }) => <p key={id}>{`${id} ${status}`}</p>),
    );
    const screen = await show(client, <Watching />);
    expect(screen.text).toBe('a booked');
    await act(() => last().addData({ id: 'b', status: 'booked' }));
    await act(() => last().updateData('a', { status: 'arrived' }));
    expect(screen.text).toBe('a arrivedb booked');
    await act(() => last().deleteData('a'));
    expect(screen.text).toBe('b booked');
  });

  test('[C2] shows the initial records until local data is loaded', async () => {
    const client = testClient();
    const { Watching, results } = watch(
      () => useSyncedData('notes', [{ id: 'early' }]),
      ({ data, isLoading }) => `${ids(data)} ${isLoading}`,
    );
    const screen = await show(client, <Watching />);
    expect(screen.text).toBe('early true');
    expect(results[0]?.data).toEqual([{ id: 'early' }]);
    await act(() =>
      client.initialize({ serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false }),
    );
    expect(screen.text).toBe(' false');
  });

  test('[C2] its calls keep their identities, tell a failure and forget it with the next success', async () => {
    const client = await offlineClient();
    const { Watching, last, results } = watch(
      () => useSyncedData('notes'),
      ({ error }) => error?.message ?? 'fine',
    );
    const screen = await show(client, <Watching />);
    await act(
      async () =>
        void (await last()
          .updateData('none', { a: 1 })
          .catch(() => {})),
    );
    expect(screen.text).toMatch(/no notes record none/);
    await act(() => expect(last().updateData('none', { a: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' }));
    await act(() => last().addData({ id: 'a' }));
    expect(screen.text).toBe('fine');
    const calls = ['addData', 'updateData', 'deleteData', 'refreshData'] as const;
    for (const call of calls) expect(last()[call]).toBe(results[0]?.[call]);
  });

  test('[C2] refreshData resolves where the server can not be reached', async () => {
    const client = await offlineClient();
    const { Watching, last } = watch(
      () => useSyncedData('notes'),
      ({ error }) => String(error),
    );
    const screen = await show(client, <Watching />);
    await act(() => last().refreshData());
    expect(screen.text).toBe('null');
  });

  test.each<[string, () => SyncedData<SyncRecord>, string]>([
    ['where fields', () => useSyncedData('notes', { where: { kind: 'x' } }), 'a c d'],
    ['where a function', () => useSyncedData('notes', { where: ({ rank }) => Number(rank) > 1 }), 'a b'],
    ['where an id of another type', () => useSyncedData('notes', { where: { id: '7' } }), '7'],
    ['orderBy a field', () => useSyncedData('notes', { orderBy: 'rank' }), '7 c b a d'],
    ['orderBy downwards', () => useSyncedData('notes', { orderBy: ['rank', 'desc'] }), 'd a b c 7'],
    ['orderBy two', () => useSyncedData('notes', { orderBy: ['kind', ['rank', 'desc']] }), 'd a c b 7'],
    [
      'orderBy a function',
      () => useSyncedData('notes', { orderBy: (a, b) => (String(a.id) < String(b.id) ? 1 : -1) }),
      'd c b a 7',
    ],
    ['limit', () => useSyncedData('notes', { where: { kind: 'x' }, orderBy: 'rank', limit: 2 }), 'c a'],
  ])('[C8] %s', async (_, use, expected) => {
    const client = await offlineClient();
    await client.addData('notes', { id: 'a', kind: 'x', rank: 3 });
    await client.addData('notes', { id: 'b', kind: 'y', rank: 2 });
    await client.addData('notes', { id: 'c', kind: 'x', rank: 1 });
    await client.addData('notes', { id: 'd', kind: 'x' });
    await client.addData('notes', { id: 7, kind: 'z', rank: 0 });
    const { Watching } = watch(use, ({ data }) => ids(data));
    expect((await show(client, <Watching />)).text).toBe(expected);
  });

  test('[C8] renders again only when its result changes, also with a query that is written anew each time', async () => {
    const client = await offlineClient();
    for (const [id, rank] of [
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ] as const) {
      await client.addData('notes', { id, rank, kind: 'x' });
    }
    const { Watching, results, last } = watch(
      () => useSyncedData('notes', { where: (note) => note.kind === 'x', orderBy: ['rank'], limit: 2 }),
      ({ data }) => ids(data),
    );
    const screen = await show(client, <Watching />);
    const [renders, before] = [results.length, last().data];
    await act(() => client.updateData('notes', 'c', { text: 'outside the window' }));
    await act(() => client.addData('notes', { id: 'd', rank: 0, kind: 'y' }));
    await act(() => client.addData('other', { id: 'e' }));
    expect(results).toHaveLength(renders);
    await act(() => client.updateData('notes', 'b', { text: 'inside' }));
    expect(results).toHaveLength(renders + 1);
    expect(last().data[0]).toBe(before[0]);
    await act(() => client.deleteData('notes', 'a'));
    expect(screen.text).toBe('b c');
  });

  test('[C8] a component that does not read syncStatus does not render for it; one that does, does', async () => {
    const client = await offlineClient();
    const blind = watch(
      () => useSyncedData('notes'),
      ({ data }) => ids(data),
    );
    const seeing = watch(
      () => useSyncedData('notes').syncStatus,
      ({ pendingChanges, connected }) => ` ${pendingChanges} ${connected}`,
    );
    const screen = await show(
      client,
      <>
        <blind.Watching />
        <seeing.Watching />
      </>,
    );
    const renders = blind.results.length;
    await act(() => client.addData('other', { id: 'a' }));
    expect(screen.text).toBe(' 1 false');
    expect(blind.results).toHaveLength(renders);
  });

  test('[C8] follows another collection, another client and another user', async () => {
    const [anna, bert] = [await offlineClient('anna'), await offlineClient('bert')];
    await anna.addData('notes', { id: 'a' });
    await anna.addData('other', { id: 'o' });
    await bert.addData('notes', { id: 'b' });
    const List = ({ name }: { readonly name: string }): string => ids(useSyncedData(name).data);
    const screen = await show(anna, <List name="notes" />);
    expect(screen.text).toBe('a');
    await screen.render(
      <SyncProvider client={anna}>
        <List name="other" />
      </SyncProvider>,
    );
    expect(screen.text).toBe('o');
    await screen.render(
      <SyncProvider client={bert}>
        <List name="notes" />
      </SyncProvider>,
    );
    expect(screen.text).toBe('b');
    await act(() => bert.reconnect('carl'));
    await act(() => bert.disconnect());
    expect(screen.text).toBe('');
  });

  test('[C8] works in StrictMode, and stops listening when it goes', async () => {
    const client = await offlineClient();
    const List = (): string => ids(useSyncedData('notes').data);
    const screen = await show(
      client,
      <StrictMode>
        <List />
      </StrictMode>,
    );
    await act(() => client.addData('notes', { id: 'a' }));
    expect(screen.text).toBe('a');
    await screen.unmount();
    await client.addData('notes', { id: 'b' });
  });

  test('[C8] renders on a server, and takes over there without a complaint', async () => {
    const client = await offlineClient();
    await client.addData('notes', { id: 'a' });
    const List = (): string => `${ids(useSyncedData('notes', [{ id: 'first' }]).data)}.`;
    const page = (
      <SyncProvider client={client}>
        <List />
      </SyncProvider>
    );
    const html = renderToString(page);
    expect(html).toBe('first.');
    const container = document.createElement('div');
    container.innerHTML = html;
    const root = await act(async () => hydrateRoot(container, page));
    expect(container.textContent).toBe('a.');
    await act(async () => root.unmount());
  });

  test('[C8] takes over the status of a server that knew nothing, and then shows its own', async () => {
    const use = {
      status: () => useSyncStatus().reason,
      legacy: () => useSyncedData('notes').syncStatus.reason,
      selected: () => useSyncStatus(({ reason }) => reason),
    };
    for (const look of Object.values(use)) {
      const Look = (): string => String(look());
      const page = (client: SyncClient): ReactNode => (
        <SyncProvider client={client}>
          <Look />
        </SyncProvider>
      );
      const container = document.createElement('div');
      container.innerHTML = renderToString(page(testClient()));
      const complaints: unknown[] = [];
      const onRecoverableError = (error: unknown): void => void complaints.push(error);
      const here = page(await offlineClient());
      const before = container.textContent;
      const root = await act(async () => hydrateRoot(container, here, { onRecoverableError }));
      expect(complaints).toEqual([]);
      expect(container.textContent).not.toBe(before);
      await act(async () => root.unmount());
    }
  });
});

test('[C8] of 10,000 rows one renders again when one field of one record changes', async () => {
  const client = await offlineClient();
  const adding = Array.from({ length: 10_000 }, (_, n) => client.addData('notes', { id: `n${n}`, value: n }));
  await Promise.all(adding);
  const rendered: string[] = [];
  const { memo } = await import('react');
  const Row = memo(({ note }: { readonly note: SyncRecord }): ReactNode => {
    rendered.push(String(note.id));
    return null;
  });
  const Rows = (): ReactNode => useSyncedData('notes').data.map((note) => <Row key={note.id} note={note} />);
  await show(client, <Rows />);
  expect(rendered).toHaveLength(10_000);
  await act(() => client.updateData('notes', 'n77', { value: -1 }));
  expect(rendered.slice(10_000)).toEqual(['n77']);
});

describe('useRecord', () => {
  test('[C8] shows one record, and renders again for no other', async () => {
    const client = await offlineClient();
    await client.addData('notes', { id: 'a', text: 'one' });
    const { Watching, results, last } = watch(
      () => useRecord('notes', 'a'),
      (record) => String(record?.text),
    );
    const screen = await show(client, <Watching />);
    const [renders, before] = [results.length, last()];
    await act(() => client.addData('notes', { id: 'b', text: 'two' }));
    expect(results).toHaveLength(renders);
    expect(last()).toBe(before);
    await act(() => client.updateData('notes', 'a', { text: 'three' }));
    expect(screen.text).toBe('three');
    await act(() => client.deleteData('notes', 'a'));
    expect(screen.text).toBe('undefined');
  });
});

describe('useSyncStatus', () => {
  test('[C8] with a selector, renders again only for what it takes, also where it makes an object each time', async () => {
    const client = await offlineClient();
    const { Watching, results } = watch(
      () => useSyncStatus(({ pendingChanges, connection }) => ({ some: pendingChanges > 0, connection })),
      ({ some, connection }) => `${some} ${connection}`,
    );
    const whole = watch(
      () => useSyncStatus(),
      ({ pendingChanges }) => ` ${pendingChanges}`,
    );
    const screen = await show(
      client,
      <>
        <Watching />
        <whole.Watching />
      </>,
    );
    expect(screen.text).toBe('false offline 0');
    await act(() => client.addData('notes', { id: 'a' }));
    const renders = results.length;
    await act(() => client.addData('notes', { id: 'b' }));
    expect(screen.text).toBe('true offline 2');
    expect(results).toHaveLength(renders);
  });
});
