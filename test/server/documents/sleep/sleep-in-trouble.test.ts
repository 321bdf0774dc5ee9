/** Documents that sleep while the store fails, hangs or is asked for much at once (N2, N3, P5, P7, P8). */
import { describe, expect, it } from 'vitest';
import type * as Y from 'yjs';
import { user } from '../../../support/notes.js';
import { client } from '../../../support/replicas.js';
import { ANNA, SleepWorld } from '../../../support/sleep-world.js';

function notes(count: number, id = 77): Y.Doc {
  const doc = client(id);
  for (let i = 0; i < count; i++) doc.getMap('notes').set(`n${i}`, i);
  return doc;
}

describe('a document at rest in trouble', () => {
  it('[N3] who changed nothing stays connected while the store is opened anew, though it was to fall asleep', async () => {
    const world = new SleepWorld();
    const phone = await world.connect('phone', notes(3));
    phone.set('more', 1); // a second update: it is not whole
    await world.settle();
    const other = await world.connect('other', client(5), { of: user('berta') });
    world.inner.failNext({ kept: false, stayDown: true });
    other.set('x', 1);
    await world.settle();
    expect([other.closed, world.store.state]).toEqual(['NOT_SAVED', 'reopening']);
    await world.sleep();
    expect([phone.closed, phone.isAwake]).toEqual([null, true]);
    world.inner.recover();
    await world.sleep();
    expect([phone.closed, phone.isAwake]).toEqual([null, false]);
  });

  it('[P7] nothing of who is erased comes back, though his bytes were damaged while he slept', async () => {
    const doc = notes(3);
    const world = await SleepWorld.asleep(doc);
    world.inner.damage(ANNA);
    expect(await world.registry.erase(ANNA)).toBe(true);
    await world.settle();
    expect(world.phone.closed).toBe('ERASED');
    const again = await world.connect('again', doc);
    expect(again.closed).toBe('ERASED');
  });
});
