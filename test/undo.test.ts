/** What Y.UndoManager does to what two unmodified providers created apart (D4, D5); docs/reference/PROTOCOL.md tells it. */
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { NativeDevice } from './support/devices/native-device.js';
import { openNative, useServer } from './support/use.js';

const together = { id: 'r', loser: 1, winner: 1, loserEdit: 'x', winnerEdit: 'x' };

interface Person {
  readonly device: NativeDevice;
  readonly undo: Y.UndoManager;
}

/** Undoes as a developer would, who lets go of what is no longer there. */
function undoOf(device: NativeDevice): Y.UndoManager {
  const records = device.collection('notes');
  const undo = new Y.UndoManager(records, { captureTimeout: 0 });
  records.observeDeep((events, { local }) => {
    const replaced = events.flatMap(({ changes }) => [...changes.keys.values()]);
    if (!local && replaced.some(({ oldValue }) => oldValue instanceof Y.Map)) undo.clear();
  });
  return undo;
}

/** Two people who made one record, or one object in a record, apart, and have the union of both. */
async function united(place: 'a record' | 'a nested object', lets: 'goes on' | 'lets go') {
  const server = await useServer();
  const person = async (client: number): Promise<Person> => {
    const doc = new Y.Doc();
    doc.clientID = client;
    const device = openNative(server, 'anna', `device-${client}`, { doc });
    await device.synced();
    const undo =
      lets === 'lets go'
        ? undoOf(device)
        : new Y.UndoManager(device.collection('notes'), { captureTimeout: 0 });
    return { device, undo };
  };
  const [loser, winner] = [await person(1), await person(2)];
  if (place === 'a nested object') {
    loser.device.record('notes', 'base').set('id', 'base');
    await loser.device.saved();
    await winner.device.until(() => winner.device.collection('notes').has('base'));
    loser.undo.clear();
  }
  const parentOn = ({ device }: Person) =>
    place === 'a record' ? device.collection('notes') : device.record('notes', 'base');
  const mapOn = (of: Person) => parentOn(of).get('r') as Y.Map<unknown>;
  for (const { device } of [loser, winner]) device.offline();
  for (const [name, each] of Object.entries({ loser, winner })) {
    parentOn(each).set(
      'r',
      new Y.Map<unknown>([
        ['id', 'r'],
        [name, 1],
      ]),
    );
    mapOn(each).set(`${name}Edit`, 'x');
  }
  for (const { device } of [loser, winner]) {
    await device.online();
    await device.saved();
  }
  const seen = (of: Person) => (parentOn(of).has('r') ? mapOn(of).toJSON() : null);
  /** Everybody has everything; what they see then. */
  const settled = async () => {
    for (const { device } of [loser, winner, loser]) await device.saved();
    await loser.device.until(() => isDeepStrictEqual(seen(loser), seen(winner)));
    return seen(winner);
  };
  await loser.device.until(() => Object.keys(seen(loser) ?? {}).length === 5);
  expect(await settled()).toEqual(together);
  return { server, loser, winner, mapOn, settled };
}

describe.each(['a record', 'a nested object'] as const)('%s that was created apart', (place) => {
  test('[D4] who made the map that lost undoes nothing any more, and can still edit', async () => {
    const { loser, mapOn, settled } = await united(place, 'goes on');
    expect(loser.undo.canUndo()).toBe(true);
    expect([loser.undo.undo(), loser.undo.canUndo()], 'nothing of it is there').toEqual([null, false]);
    expect(await settled()).toEqual(together);
    mapOn(loser).delete('loserEdit');
    const { loserEdit: _, ...others } = together;
    expect(await settled()).toEqual(others);
    loser.undo.undo();
    expect(await settled(), 'what comes after the union is undone as ever').toEqual(together);
  });

  test('[D4] where an app watches for that, it offers no undo', async () => {
    const { loser, winner } = await united(place, 'lets go');
    expect([loser.undo.canUndo(), winner.undo.canUndo()]).toEqual([false, true]);
  });

  test('[D4 D5] who made the map that won undoes edits, and with the creation all that is in it; redo brings it back', async () => {
    const { winner, settled } = await united(place, 'goes on');
    const { winnerEdit: _, ...others } = together;
    winner.undo.undo();
    expect(await settled()).toEqual(others);
    winner.undo.undo();
    expect(await settled(), 'as a deletion by somebody who has seen all of it').toBeNull();
    winner.undo.redo();
    expect(await settled()).toEqual(others);
    winner.undo.redo();
    expect(await settled()).toEqual(together);
  });
});

test('[D5 H6] what an undone creation took along can be restored', async () => {
  const { server, winner, settled } = await united('a record', 'goes on');
  winner.undo.undo();
  winner.undo.undo();
  expect(await settled()).toBeNull();
  const { entries } = (await (await fetch(`${server.url}/api/history/anna?id=r`)).json()) as {
    entries: { revision: number; after: object | null; before: object | null }[];
  };
  expect(entries[0]).toMatchObject({ after: null, before: expect.objectContaining({ loserEdit: 'x' }) });
  const revision = entries.find(({ after }) => after !== null)?.revision;
  const response = await fetch(`${server.url}/api/history/anna/restore`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Device-ID': 'desk' },
    body: JSON.stringify({ collection: 'notes', id: 'r', revision }),
  });
  expect(response.status).toBe(200);
  expect(await settled()).toMatchObject({ id: 'r', loser: 1, loserEdit: 'x', winner: 1 });
});
