/**
 * Messages of a JSON device that lie in a connection whose network is parted: the device sends them once more over
 * another one, goes on, and then those come in, too (L4, L5).
 */
import { describe, expect, test } from 'vitest';
import { Batch, readChanges } from '../server/gateways/http/batch.js';
import { recordMap, writeRecord } from '../shared/records.js';
import { originOf, record, Ward, type WardDevice } from './support/ward.js';

const N1 = record('notes', 'n1');
/** How long the network is parted, in ms. */
const PARTED = 5_800;

/** A tablet that writes `stuck` values, then another one over a second connection; the record when all has come in. */
async function parted(stuck: number, between: (ward: Ward, second: WardDevice) => void = () => {}) {
  const ward = await Ward.open();
  ward.write('phone', (doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', by: { laptop: 5 } }));
  const first = await ward.line('tablet').ready();
  ward.now += 40_000;
  await first.updateAt('notes', { id: 'n0' }, ward.now, ward.now); // its clock is known
  ward.now += 5_000;
  const began = ward.now;
  const sends = async (line: WardDevice, off: number) => {
    for (let n = 0; n < stuck; n++) {
      const at = began + 2 * n - off;
      await line.updateAt('notes', { id: 'n1', by: { laptop: 5, tablet: n } }, at, at);
    }
  };
  ward.now = began + 2_000;
  const second = await ward.line('tablet').ready();
  await sends(second, 0);
  ward.now += 800;
  await second.updateAt('notes', { id: 'n1', by: { laptop: 5, tablet: 67 } }, ward.now, ward.now);
  between(ward, second);
  ward.now = began + PARTED;
  await sends(first, 1); // times differ by a millisecond, as the clock is known a little better by now
  return ward.json('notes', 'n1');
}

const AFTER = { id: 'n1', by: { laptop: 5, tablet: 67 } };

test.each([1, 2, 3])(
  '[L5 L6] %i late copies take nothing back of what the device wrote since',
  async (stuck) => {
    expect(await parted(stuck)).toEqual(AFTER);
  },
);

test('[L5 L6] nor where others changed the record meanwhile, or the second connection is gone', async () => {
  const set = (ward: Ward) =>
    ward.write('phone', (doc) => recordMap(doc, N1.collection, N1.id)?.set('batch', 19));
  expect(await parted(2, set)).toEqual({ ...AFTER, batch: 19 });
  expect(await parted(2, (_, second) => second.leave())).toEqual(AFTER);
});

/** Writes of a device that lie in its first connection, and come in once more when `then` has happened. */
async function late(
  writes: (line: WardDevice, at: number, how: 'again' | 'late') => Promise<unknown>,
  then: (scene: { ward: Ward; second: WardDevice }) => unknown,
  before: (ward: Ward) => unknown = () => {},
) {
  const ward = await Ward.open();
  const first = await ward.line('tablet').ready();
  ward.now += 40_000;
  await first.updateAt('notes', { id: 'n0' }, ward.now, ward.now); // its clock is known
  await first.updateAt('notes', { id: 'n1', v: 1, list: [{ id: 'a' }] }, ward.now, ward.now);
  ward.now += 5_000;
  const at = ward.now;
  ward.now = at + 1_000;
  await before(ward);
  ward.now = at + 2_000;
  const second = await ward.line('tablet').ready();
  await writes(second, at, 'again');
  ward.now += 800;
  await then({ ward, second });
  ward.now = at + PARTED;
  await writes(first, at, 'late');
  return ward;
}

/** Of its deletion, no other copy came. */
const deletesOnce: Parameters<typeof late>[0] = async (line, at, how) => {
  if (how === 'late') await line.delete('notes', 'n1', at);
};

const makes = (line: WardDevice, at: number) => line.updateAt('notes', { id: 'n2', made: 1 }, at, at);

test('[L5 L7] late copies make nothing anew that the device has deleted since', async () => {
  const ward = await late(makes, ({ second }) => second.delete('notes', 'n2'));
  expect(ward.json('notes', 'n2')).toBeNull();
});

test('[L5 L7] nor what somebody else has deleted', async () => {
  const ward = await late(makes, ({ ward }) =>
    ward.write('phone', (doc) => void doc.getMap('notes').delete('n2')),
  );
  expect(ward.json('notes', 'n2')).toBeNull();
});

test('[L5 L9] nor do they delete what was made anew since', async () => {
  const anew = { id: 'n1', v: 2 };
  const ward = await late(
    (line, at) => line.delete('notes', 'n1', at),
    ({ ward }) => ward.write('phone', (doc) => writeRecord(doc, N1.collection, N1.id, anew)),
  );
  expect(ward.json('notes', 'n1')).toEqual(anew);
});

test('[L5 L6] nor do they remove what the device has added since, or bring back what it has removed', async () => {
  const ward = await late(
    async (line, at) => {
      await line.updateAt('notes', { id: 'n1', v: 1, list: [{ id: 'a' }, { id: 'b' }] }, at, at);
      const next = { id: 'n1', v: 1, list: [{ id: 'a' }, { id: 'b' }], by: { phone: 1 } };
      await line.updateAt('notes', next, at + 1, at + 1);
    },
    ({ ward, second }) => {
      const last = { id: 'n1', v: 1, list: [{ id: 'a' }], by: { phone: 1, tablet: 1 } };
      return second.updateAt('notes', last, ward.now, ward.now);
    },
  );
  expect(ward.json('notes', 'n1')).toEqual({
    id: 'n1',
    v: 1,
    list: [{ id: 'a' }],
    by: { phone: 1, tablet: 1 },
  });
});

test('[L5 L6] what came over no other connection is taken', async () => {
  const ward = await Ward.open();
  const first = await ward.line('tablet').ready();
  ward.now += 40_000;
  await first.updateAt('notes', { id: 'n0' }, ward.now, ward.now);
  const at = ward.now;
  ward.now += 2_000;
  const second = await ward.line('tablet').ready();
  await second.updateAt('notes', { id: 'n0', v: 1 }, ward.now, ward.now);
  await makes(first, at);
  expect(ward.json('notes', 'n2')).toEqual({ id: 'n2', made: 1 });
});

test('[L5 L7] late copies make nothing anew that the device has deleted since over HTTP', async () => {
  const ward = await Ward.open();
  const first = await ward.line('tablet').ready();
  ward.now += 40_000;
  await first.updateAt('notes', { id: 'n0' }, ward.now, ward.now);
  const at = ward.now;
  ward.now += 2_000;
  await post(ward, updated({ id: 'n2', made: 1 } as { id: string }, at));
  ward.now += 800;
  await post(ward, {
    type: 'DATA_DELETE',
    data: { collection: 'notes', documentId: 'n2', timestamp: ward.now },
  });
  ward.now = at + PARTED;
  await makes(first, at);
  expect(ward.json('notes', 'n2')).toBeNull();
  ward.now += 3_000; // it has read that the record is gone
  await first.updateAt('notes', { id: 'n2', made: 2 }, ward.now, ward.now);
  expect(ward.json('notes', 'n2')).toEqual({ id: 'n2', made: 2 });
});

/** The tablet sends changes over HTTP, in one batch. */
async function post({ document, now }: Ward, ...sent: readonly object[]): Promise<void> {
  const view = document.devices.overHttp(originOf('tablet', 'http'), now);
  const changes = readChanges({ changes: sent.map((each) => ({ ...each, timestamp: now })) }, Ward.USER, 64);
  const batch = new Batch(document, originOf('tablet', 'http'), view, changes);
  document.withHistory(batch.neededFrom(now), () => batch.apply(now));
  view.sent(document.revision, now);
  view.confirmed(document.revision, now);
  await document.durable();
}

const updated = (document: { id: string }, timestamp: number) => ({
  type: 'DATA_UPDATE',
  data: { collection: 'notes', document, timestamp },
});

/** Over its first connection, over HTTP meanwhile, and then what lay in the first one, with `n1` and a known clock. */
async function posted(
  sent: (at: number) => readonly object[],
  then: (ward: Ward) => unknown,
  lay: (line: WardDevice, at: number) => Promise<unknown>,
) {
  const ward = await Ward.open();
  const first = await ward.line('tablet').ready();
  ward.now += 40_000;
  await first.updateAt('notes', { id: 'n0' }, ward.now, ward.now);
  await first.updateAt('notes', { id: 'n1', v: 1 }, ward.now, ward.now);
  const at = ward.now + 5_000;
  ward.now = at + 2_000;
  await post(ward, ...sent(at));
  ward.now += 800;
  await then(ward);
  ward.now = at + PARTED;
  await lay(first, at);
  return ward;
}

test('[L5 L9] late copies of a deletion and of what followed it, posted in one batch, change nothing', async () => {
  const anew = { id: 'n1', v: 2 };
  const ward = await posted(
    (at) => [
      { type: 'DATA_DELETE', data: { collection: 'notes', documentId: 'n1', timestamp: at } },
      updated(anew, at + 5),
    ],
    () => {},
    async (line, at) => {
      await line.delete('notes', 'n1', at);
      await line.updateAt('notes', anew, at + 5, at + 5);
    },
  );
  expect(ward.json('notes', 'n1')).toEqual(anew);
});

test('[L5 L7] nor do copies of a batch that begins with what had arrived', async () => {
  const [one, two] = [
    { id: 'n2', v: 1 },
    { id: 'n2', v: 2 },
  ];
  const ward = await posted(
    (at) => [
      updated({ id: 'n0' }, at - 1),
      updated(one, at),
      updated(two, at + 1),
      updated({ id: 'n3' }, at + 2),
    ],
    (ward) => ward.write('phone', (doc) => void doc.getMap('notes').delete('n2')),
    async (line, at) => {
      await line.updateAt('notes', one, at, at);
      await line.updateAt('notes', two, at + 1, at + 1);
    },
  );
  expect(ward.json('notes', 'n2')).toBeNull();
});

test('[L5 L9] a late deletion that changed nothing as it came again deletes nothing that is new', async () => {
  const anew = { id: 'n1', v: 2 };
  const ward = await late(deletesOnce, ({ ward }) => {
    ward.write('phone', (doc) => void doc.getMap('notes').delete('n1'));
    ward.now += 500;
    ward.write('phone', (doc) => writeRecord(doc, N1.collection, N1.id, anew));
  });
  expect(ward.json('notes', 'n1')).toEqual(anew);
});

test('[L5 L9] a late deletion that came by no other way deletes what the device wrote since elsewhere', async () => {
  const ward = await late(deletesOnce, ({ ward, second }) =>
    second.updateAt('notes', { id: 'n1', v: 2 }, ward.now, ward.now),
  );
  expect(ward.json('notes', 'n1')).toBeNull(); // as D5 has it
});

describe('two windows of an app under one name, and the clock goes back by some seconds', () => {
  const BACK = 5_000;

  /** The older window, in which the user goes on. */
  async function older() {
    const ward = await Ward.open();
    const line = await ward.line('tablet').ready();
    ward.now += 40_000;
    await line.updateAt('notes', { id: 'n0' }, ward.now, ward.now);
    await ward.line('tablet').ready();
    ward.now += 10_000;
    const write = async (back: number, note: object | null) => {
      ward.now += 1_000;
      const at = ward.now - back;
      if (note === null) await line.delete('notes', 'n1', at);
      else await line.updateAt('notes', { id: 'n1', ...note }, at, at);
    };
    return { ward, write };
  }

  test.each<[string, readonly (object | null)[]]>([
    ['a deletion', [{ v: 1 }, null]],
    ['a value set back', [{ v: 1 }, { v: 2 }, { v: 1 }]],
    ['an element removed', [{ v: [1] }, { v: [1, 2] }, { v: [1] }]],
  ])('[L5 L6 L9] %s counts', async (_, notes) => {
    const { ward, write } = await older();
    for (const [n, note] of notes.entries()) await write(n === 0 ? 0 : BACK, note);
    const last = notes.at(-1) ?? null;
    expect(ward.json('notes', 'n1')).toEqual(last && { id: 'n1', ...last });
  });
});

test('[L5 L9] a late deletion that found nothing as it came again takes nothing that its device made since', async () => {
  const anew = { id: 'n1', v: 2 };
  const ward = await late(
    (line, at) => line.delete('notes', 'n1', at),
    ({ ward, second }) => second.updateAt('notes', anew, ward.now, ward.now),
    (ward) => ward.write('phone', (doc) => void doc.getMap('notes').delete('n1')),
  );
  expect(ward.json('notes', 'n1')).toEqual(anew);
});

test('[L5 L7] a late creation stays away that its device has deleted since, before it had arrived', async () => {
  const ward = await late(
    async (line, at, how) => {
      if (how === 'late') await makes(line, at);
    },
    ({ second }) => second.delete('notes', 'n2'),
  );
  expect(ward.json('notes', 'n2')).toBeNull();
});

test('[D5 L9] a late deletion takes nothing that was made before it, where its device could not know of that', async () => {
  const anew = { id: 'n1', v: 2 };
  const ward = await late(deletesOnce, ({ ward }) => {
    ward.write('phone', (doc) => void doc.getMap('notes').delete('n1'));
    const { now } = ward;
    ward.now = now - 4_000; // its queue was made before
    ward.write('phone', (doc) => writeRecord(doc, N1.collection, N1.id, anew));
    ward.now = now;
  });
  expect(ward.json('notes', 'n1')).toEqual(anew);
});
