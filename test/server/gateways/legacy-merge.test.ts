/** What a JSON device's whole documents do to what others change at the same time (L3–L6), with a clock and no sockets. */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { HOUR, MINUTE, SECOND, VISITS } from '../../support/json-apps.js';
import {
  bothConnect,
  converges,
  desk,
  ENDS,
  everybodyReads,
  forEach,
  native,
  nothing,
  phone,
  play,
  REPLAYS,
  restarts,
  type Step,
  scene,
  visitHas,
  visitIs,
  visitIsGone,
  visitMap,
  when,
} from '../../support/scenes.js';

/** The visit has these tags, in whatever order. */
const tagsAre =
  (...tags: string[]): Step =>
  ({ practice }) =>
    expect(Array.from((practice.record('v1')?.tags ?? []) as string[]).sort()).toEqual(tags.sort());

describe('two quick writes of one device', () => {
  test('[L4 L6] around a change of somebody else do not undo it', () =>
    play([
      [phone.edits({ status: 'arrived' }), 100],
      [desk.edits({ room: 2 }), 100],
      [phone.edits({ at: '10:00' }), 100],
      visitIs({ status: 'arrived', room: 2, at: '10:00' }),
    ]));

  test.each(['has not arrived', 'has arrived', 'has arrived and was not read'])(
    '[L4 L6] that cross a change of somebody else do not undo it: the correction %s',
    (correction) =>
      play([
        [desk.edits({ room: 2 }), 50],
        [phone.edits({ status: 'arrived' }), 50],
        ...when(correction === 'has arrived', phone.catchesUp),
        ...when(correction === 'has arrived and was not read', phone.pongs),
        [nothing, 50],
        [phone.edits({ at: '10:00' }), 50],
        visitIs({ status: 'arrived', room: 2, at: '10:00' }),
        [converges, 10 * SECOND],
        [phone.edits({ room: 1 }), 0],
        visitIs({ status: 'arrived', at: '10:00' }),
      ]),
  );

  test('[L4 L6] three of them, each of another field, between two changes of somebody else', () =>
    play([
      [phone.edits({ status: 'arrived' }), 50],
      [desk.edits({ room: 2 }), 50],
      [phone.edits({ at: '10:00' }), 50],
      [desk.edits({ room: 3 }), 50],
      [phone.edits({ urgent: true }), 0],
      visitIs({ status: 'arrived', at: '10:00', urgent: true, room: 3 }),
    ]));

  test('[L4 L6 D3] and both put something into one list', () =>
    play([
      [phone.edits({ tags: ['a', 'b', 'p1'] }), 50],
      [desk.edits({ tags: ['a', 'b', 'd1'] }), 50],
      [phone.edits({ tags: ['a', 'b', 'p1', 'p2'] }), 0],
      tagsAre('a', 'b', 'p1', 'p2', 'd1'),
    ]));
});

describe('a switch that one device turns on and off again within a second', () => {
  test.each([
    ['on, off', [true, false]],
    ['on, off, on', [true, false, true]],
    ['on, off, on, off', [true, false, true, false]],
  ])('[L4 L6] %s', (_, turns) =>
    play(forEach(turns, (urgent) => [[phone.edits({ urgent }), 200], visitHas({ urgent })])),
  );

  test.each([
    ['on, off', [true, false]],
    ['on, off, on', [true, false, true]],
  ])('[L4 L6] %s, each one acknowledged and everything read between them', (_, turns) =>
    play(forEach(turns, (urgent) => [[phone.edits({ urgent }), 200], everybodyReads, visitHas({ urgent })])),
  );

  test('[L4 L5 L6] right after a reconnect', () =>
    play([
      [phone.loses, HOUR],
      phone.connects,
      [phone.catchesUp, 100],
      ...forEach([true, false, true, false], (urgent) => [
        [phone.edits({ urgent }), 200],
        visitHas({ urgent }),
      ]),
    ]));

  test.each(REPLAYS)('[L4 L5 L6] with a reconnect in the middle, %s', (pong) =>
    play([
      [phone.edits({ urgent: true }), 200],
      phone.loses,
      phone.connects,
      phone.readsAll,
      ...when(pong === 'after the pong', phone.catchesUp),
      [nothing, 200],
      [phone.edits({ urgent: false }), 0],
      visitHas({ urgent: false }),
    ]),
  );

  test.each(ENDS)('[L4 L5 L6] with a server that was %s in the middle', (how) =>
    play([
      [phone.edits({ urgent: true }), 200],
      [restarts(how), 200],
      ...bothConnect,
      [phone.edits({ urgent: false }), 0],
      visitHas({ urgent: false }),
    ]),
  );

  test.each(REPLAYS)('[L5 L6] in a queue that is replayed %s', (replay) =>
    play([
      phone.loses,
      ...forEach([true, false, true, false], (urgent) => [[phone.edits({ urgent }), 200]]),
      [desk.edits({ room: 2 }), HOUR],
      phone.comesBack(replay),
      visitIs({ room: 2 }),
    ]),
  );

  test('[L4 L6] while somebody else changes another field', () =>
    play([
      [phone.edits({ urgent: true }), 200],
      [desk.edits({ room: 2 }), 200],
      [phone.edits({ urgent: false }), 0],
      visitIs({ room: 2 }),
    ]));
});

describe('a pong that the socket sent before the app had read the message', () => {
  test('[L4 L6] 1.5 s later a write on the older version leaves the change of the other alone', () =>
    play([
      desk.edits({ room: 2 }),
      [phone.pongs, 1_500],
      [phone.edits({ status: 'arrived' }), 0],
      visitIs({ room: 2, status: 'arrived' }),
    ]));

  test('[L4 L6] 2.5 s later the older value is what the device wants', () =>
    play([desk.edits({ room: 2 }), [phone.catchesUp, 2_500], [phone.edits({ room: 1 }), 0], visitIs()]));

  test('[L4 L6] the first full sync of a connection is no exception', () =>
    play([
      phone.loses,
      [desk.edits({ room: 2 }), HOUR],
      phone.connects,
      [phone.pongs, 1_500],
      [phone.edits({ status: 'arrived' }), 0],
      visitIs({ room: 2, status: 'arrived' }),
    ]));

  test('[L4 L6] a deletion within that time stays a deletion', () =>
    play([
      desk.removes(),
      [phone.pongs, 1_500],
      [phone.edits({ status: 'arrived' }), 0],
      visitIsGone,
      converges,
      (all) => expect(all.phone.record('v1')).toBeUndefined(),
    ]));

  test('[L4 L6 D3] both put something into one list', () =>
    play([
      desk.edits({ tags: ['a', 'b', 'desk'] }),
      [phone.pongs, 1_500],
      [phone.edits({ tags: ['a', 'b', 'phone'] }), 0],
      tagsAre('a', 'b', 'desk', 'phone'),
    ]));

  test('[D2 L4 L6] both edit one shared text', () =>
    play([
      native((doc) => visitMap(doc).set('note', new Y.Text('Fever. Cough.'))),
      [everybodyReads, MINUTE],
      native((doc) => (visitMap(doc).get('note') as Y.Text).insert(0, 'High ')),
      [phone.pongs, 1_500],
      [phone.edits({ note: 'Fever. No cough.' }), 0],
      visitHas({ note: 'High Fever. No cough.' }),
    ]));
});

describe('a full sync that crosses a write', () => {
  test.each(['is not there yet', 'is there'])(
    '[L3 L4 L6] the next write is built on it, and the correction %s: the first write is not undone',
    (correction) =>
      play([
        [phone.asksForAll, 0],
        [phone.edits({ status: 'arrived' }), 0],
        phone.readsNext('FULL_SYNC'),
        phone.has({ status: 'booked' }),
        ...when(correction === 'is there', phone.catchesUp),
        [nothing, 100],
        [phone.edits({ room: 2 }), 0],
        visitIs({ status: 'arrived', room: 2 }),
      ]),
  );

  test('[L3 L4 L6] the first one of a connection, with a write right after it opened', () =>
    play([
      [phone.loses, HOUR],
      phone.connects,
      [phone.edits({ status: 'arrived' }), 0],
      phone.readsNext('FULL_SYNC'),
      phone.has({ status: 'booked' }),
      [phone.edits({ room: 2 }), 0],
      visitIs({ status: 'arrived', room: 2 }),
    ]));

  test('[L3 L4 L6] a full sync with somebody else’s change in it', () =>
    play([
      [desk.edits({ room: 2 }), 0],
      [phone.asksForAll, 0],
      [phone.edits({ status: 'arrived' }), 0],
      phone.readsNext('DATA_UPDATE'),
      phone.readsNext('FULL_SYNC'),
      [phone.edits({ at: '10:00' }), 0],
      visitIs({ status: 'arrived', room: 2, at: '10:00' }),
    ]));

  test('[L3 L4 L6] an update of somebody else that crosses it likewise', () =>
    play([
      [desk.edits({ room: 2 }), 0],
      [phone.edits({ status: 'arrived' }), 0],
      phone.readsNext('DATA_UPDATE'),
      phone.has({ status: 'booked' }),
      [phone.edits({ at: '10:00' }), 0],
      visitIs({ status: 'arrived', room: 2, at: '10:00' }),
    ]));

  test('[L3 L9] a write after a deletion that a full sync crossed does not bring the record back', () =>
    play([
      [phone.asksForAll, 0],
      [phone.removes(), 0],
      phone.readsNext('FULL_SYNC'),
      [phone.edits({ room: 2 }), 0],
      visitIsGone,
    ]));
});

describe('pongs that never come', () => {
  const TURNS = [
    { room: 2, status: 'arrived' },
    { room: 3, status: 'waiting' },
    { room: 4, status: 'called' },
  ];

  test('[L4 L6] changes of others survive, and those of the device count', () =>
    play([
      phone.answersPings(false),
      ...forEach(TURNS, ({ room, status }) => [
        [desk.edits({ room }), MINUTE],
        [phone.edits({ status }), MINUTE],
        visitIs({ room, status }),
        everybodyReads,
      ]),
    ]));

  test('[L4 L5 L6] a connection that ends before the pong of its full sync, read by nobody', () =>
    play([
      phone.loses,
      [phone.edits({ status: 'arrived' }), MINUTE],
      [desk.edits({ room: 2 }), MINUTE],
      ...forEach([1, 2, 3], () => [
        [phone.connects, SECOND],
        [phone.loses, MINUTE],
      ]),
      phone.comesBack(),
      visitIs({ room: 2, status: 'arrived' }),
    ]));

  test('[L4 L5 L6] a connection that ends before the pong of its full sync, which the app had read', () =>
    play([
      phone.loses,
      [desk.edits({ room: 2 }), MINUTE],
      phone.answersPings(false),
      phone.connects,
      phone.readsAll,
      [phone.loses, MINUTE],
      [phone.edits({ room: 3, status: 'arrived' }), MINUTE],
      [desk.edits({ at: '10:00' }), MINUTE],
      phone.answersPings(true),
      phone.comesBack(),
      visitIs({ room: 3, status: 'arrived', at: '10:00' }),
    ]));
});

describe('two connections of one device', () => {
  /** The phone has lost its connection; the server notices when `ends` is played. */
  function stale(): { begins: Step; ends: Step } {
    let end = (): void => {};
    return {
      begins: (all) => {
        end = all.phone.abandon();
      },
      ends: () => end(),
    };
  }

  test.each(['before', 'after'])('[L4 L5] the stale one ends %s the live one', (order) => {
    const { begins, ends } = stale();
    return play([
      [begins, MINUTE],
      phone.connects,
      [phone.catchesUp, MINUTE],
      desk.edits({ room: 2 }),
      [everybodyReads, MINUTE],
      ...when(order === 'before', ends),
      [phone.loses, MINUTE],
      phone.edits({ room: 1 }),
      [desk.edits({ status: 'arrived' }), MINUTE],
      ...when(order === 'after', ends),
      [nothing, MINUTE],
      phone.comesBack(),
      visitIs({ status: 'arrived' }), // it had seen room 2 and went back to 1
    ]);
  });

  test('[L4 L5 L6] the stale one is still there when the queue is replayed, and what others changed survives', () => {
    const { begins, ends } = stale();
    return play([
      begins,
      [phone.edits({ status: 'arrived' }), MINUTE],
      [desk.edits({ room: 2 }), HOUR],
      phone.comesBack(),
      visitIs({ room: 2, status: 'arrived' }),
      [ends, MINUTE],
      [phone.edits({ room: 1 }), 0],
      visitHas({ room: 1 }),
    ]);
  });

  test('[L3 L4 L6] two windows of one device write in turn', async () => {
    const all = await scene();
    const window = await all.practice.connected('phone');
    await play(
      [
        [phone.edits({ room: 2 }), 100],
        [() => window.edit('v1', { status: 'arrived' }), 100],
        [phone.edits({ at: '10:00' }), 0],
        visitIs({ room: 2, status: 'arrived', at: '10:00' }),
      ],
      Promise.resolve(all),
    );
    expect(window.copy[VISITS]).toEqual(all.practice.records()[VISITS]);
  });
});
