import { Window } from 'happy-dom';
import { memo, type ReactNode, useLayoutEffect, useSyncExternalStore } from 'react';
import { createRoot } from 'react-dom/client';
import * as Y from 'yjs';
import type { SyncRecord } from '../../client/api/api.js';
import { memoryStorage } from '../../client/local-store/memory.js';
import { noConnectivity } from '../../client/platform/connectivity.js';
import { standardParts } from '../../client/platform/standard.js';
import { SyncProvider, useSyncedData } from '../../client/react/hooks.js';
import { SyncManager } from '../../client/sync-manager.js';

export interface HookTimes {
  /** From the call that edits to the render that has the new value, in ms. */
  readonly toHook: readonly number[];
  /** To the end of the commit: the rows are on the screen. */
  readonly toScreen: readonly number[];
  readonly rowsPerEdit: number;
}

const COLLECTION = 'appointments';

const idOf = (index: number): string => `a${index}`;
const recordOf = (index: number) => ({ id: idOf(index), status: 'booked', room: index % 40, count: 0 });

/** What one edit does, as the screen sees it. */
class Stopwatch {
  readonly toHook: number[] = [];
  readonly toScreen: number[] = [];
  rows = 0;
  #edited = 0;
  #onScreen = (): void => {};

  /** Called by the component with what its hook returned. */
  hookAnswered(): void {
    this.toHook.push(performance.now() - this.#edited);
  }

  committed(): void {
    this.toScreen.push(performance.now() - this.#edited);
    this.#onScreen();
  }

  /** Makes the edit and resolves when it is on the screen. */
  async time(edit: () => void): Promise<void> {
    const shown = new Promise<void>((resolve) => {
      this.#onScreen = resolve;
    });
    this.#edited = performance.now();
    edit();
    await shown;
  }

  result(edits: number): HookTimes {
    const { toHook, toScreen } = this;
    return { toHook: toHook.slice(-edits), toScreen: toScreen.slice(-edits), rowsPerEdit: this.rows / edits };
  }
}

/** A screen of all records, one row each, and the time that `edits` edits take. */
async function measure(
  use: () => readonly SyncRecord[],
  around: (screen: ReactNode) => ReactNode,
  edit: (index: number, count: number) => void,
  edits: number,
): Promise<HookTimes> {
  const watch = new Stopwatch();
  const Row = memo(({ record }: { readonly record: SyncRecord }) => {
    watch.rows += 1;
    return <li>{`${record.id} ${record.count}`}</li>;
  });
  function Screen() {
    const records = use();
    watch.hookAnswered();
    useLayoutEffect(() => watch.committed());
    return (
      <ul>
        {records.map((record) => (
          <Row key={record.id} record={record} />
        ))}
      </ul>
    );
  }
  const window = new Window();
  Object.assign(globalThis, { window, document: window.document });
  const root = createRoot(window.document.createElement('div') as unknown as Element);
  await watch.time(() => root.render(around(<Screen />)));
  const total = watch.rows;
  // The first edits warm up what the rest is measured on.
  for (let n = 1; n <= edits / 4; n++) await watch.time(() => edit((n * 37) % total, n));
  watch.rows = 0;
  for (let n = 1; n <= edits; n++) await watch.time(() => edit((n * 7919) % total, -n));
  root.unmount();
  await window.happyDOM.close();
  return watch.result(edits);
}

export async function measureHook(records: number, edits: number): Promise<HookTimes> {
  const client = new SyncManager({
    ...standardParts,
    storage: memoryStorage(),
    connectivity: noConnectivity,
  });
  await client.initialize({ serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false });
  const adding = Array.from({ length: records }, (_, index) => client.addData(COLLECTION, recordOf(index)));
  await Promise.all(adding);
  const result = await measure(
    () => useSyncedData(COLLECTION).data,
    (screen) => <SyncProvider client={client}>{screen}</SyncProvider>,
    (index, count) => void client.updateData(COLLECTION, idOf(index), { count }),
    edits,
  );
  await client.close();
  return result;
}

/** The obvious hook: reads the whole collection anew whenever anything in it changes. */
export async function measureNaive(records: number, edits: number): Promise<HookTimes> {
  const collection = new Y.Doc().getMap<Y.Map<unknown>>(COLLECTION);
  for (let index = 0; index < records; index++) {
    collection.set(idOf(index), new Y.Map(Object.entries(recordOf(index))));
  }
  const read = () => Object.values(collection.toJSON()) as SyncRecord[];
  let current = read();
  const listeners = new Set<() => void>();
  collection.observeDeep(() => {
    current = read();
    for (const listener of listeners) listener();
  });
  const subscribe = (listener: () => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  return measure(
    () => useSyncExternalStore(subscribe, () => current),
    (screen) => screen,
    (index, count) => collection.get(idOf(index))?.set('count', count),
    edits,
  );
}
