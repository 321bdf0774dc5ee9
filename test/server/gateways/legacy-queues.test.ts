/** What the queue of a JSON device does when it comes back: whose clock counts, what it had seen, what was sent twice (L4–L9). */
import { describe, expect, test } from 'vitest';
import { DAY, HOUR, MINUTE, Practice, SECOND } from '../../support/json-apps.js';
import {
  converges,
  desk,
  ENDS,
  everybodyReads,
  nothing,
  phone,
  play,
  REPLAYS,
  recordIs,
  restarts,
  scene,
  type Table,
  unmet,
  VISIT,
  visitHas,
  visitIs,
} from '../../support/scenes.js';

const STAMPS = ['both', 'stored', 'none'] as const;

/** After `unmet`: the phone is connected and has read everything. */
const met: Table = [phone.connects, [phone.catchesUp, 10 * SECOND]];

describe('whose clock counts', () => {
  const CLOCKS: readonly [name: string, clock: number][] = [
    ['right', 0],
    ['three days behind', -3 * DAY],
    ['three days ahead', 3 * DAY],
  ];
  const OFFLINE: Table = [
    [phone.loses, MINUTE],
    [phone.edits({ room: 5 }), MINUTE],
    [desk.edits({ room: 2, status: 'arrived' }), MINUTE],
    phone.edits({ status: 'waiting' }),
  ];

  for (const stamps of ['both', 'stored'] as const) {
    for (const [name, clock] of CLOCKS) {
      for (const replay of REPLAYS) {
        test(`[L5 L6] a clock that is ${name}, outer timestamps ${stamps}, replayed ${replay}: the later one wins`, () =>
          play(
            [...OFFLINE, [nothing, HOUR], phone.comesBack(replay), visitIs({ room: 2, status: 'waiting' })],
            scene({ clock, stamps }),
          ));

        test(`[L5 L6] a clock that is ${name}, outer timestamps ${stamps}, ${replay}: after a restart too`, () =>
          play(
            [
              ...OFFLINE,
              [nothing, MINUTE],
              [restarts('stopped'), HOUR],
              desk.connects,
              phone.comesBack(replay),
              visitIs({ room: 2, status: 'waiting' }),
            ],
            scene({ clock, stamps }),
          ));
      }
    }
  }

  test.each(CLOCKS)('[L5] live writes of a device whose clock is %s are live', (_, clock) =>
    play(
      [
        desk.edits({ room: 2 }),
        [everybodyReads, 10 * SECOND],
        [phone.edits({ room: 1 }), 0],
        visitIs(),
        [phone.edits({ room: 2 }), 0],
        visitIs({ room: 2 }),
      ],
      scene({ clock }),
    ),
  );

  test.each(CLOCKS)('[L5 L6] the first message ever, from a clock that is %s', (_, clock) =>
    play(
      [
        ...met,
        [phone.edits({ status: 'arrived' }), MINUTE],
        // No offset is known, so the time counts as it stands, and at most as now.
        visitHas({ status: clock < 0 ? 'booked' : 'arrived' }),
        converges,
        desk.edits({ status: 'called' }),
        everybodyReads,
        visitHas({ status: 'called' }),
        [nothing, MINUTE],
        [phone.edits({ status: 'waiting' }), 0],
        // A clock that is behind looks like a queue, until a message comes that none can have held so long.
        visitHas({ status: clock < 0 ? 'called' : 'waiting' }),
        [everybodyReads, MINUTE],
        [phone.edits({ status: 'waiting' }), 0],
        visitHas({ status: 'waiting' }, 'from the third message on'),
      ],
      unmet({ clock }),
    ),
  );

  test.each(CLOCKS)('[L5] REQUEST_SYNC tells of a clock that is %s', (_, clock) =>
    play(
      [
        ...met,
        phone.asksForAll,
        [phone.catchesUp, MINUTE],
        [phone.edits({ status: 'arrived' }), 0],
        visitHas({ status: 'arrived' }),
      ],
      unmet({ clock }),
    ),
  );

  test.each(REPLAYS)(
    '[L5 L6 L8] the first queue ever, which stored its outer timestamps, %s: the later one wins',
    (replay) =>
      play(
        [
          [phone.writes({ ...VISIT, room: 5 }), 30 * MINUTE],
          [phone.edits({ status: 'waiting' }), 15 * MINUTE],
          [desk.edits({ status: 'called' }), 15 * MINUTE],
          phone.comesBack(replay),
          visitIs({ room: 5, status: 'called' }),
        ],
        unmet({ stamps: 'stored' }),
      ),
  );

  test('[L6] a time in the future counts as now: a later change of somebody else wins', async () => {
    const practice = await Practice.open();
    const other = await practice.connected('desk');
    const ahead = await practice.connected('phone', { clock: 3 * DAY });
    await play(
      [
        phone.writes(VISIT),
        [everybodyReads, MINUTE],
        [desk.loses, MINUTE],
        [phone.edits({ room: 2 }), MINUTE],
        [desk.edits({ room: 3 }), MINUTE],
        desk.comesBack(),
        visitHas({ room: 3 }),
      ],
      Promise.resolve({ practice, phone: ahead, desk: other }),
    );
  });

  test.each(REPLAYS)(
    '[L5 L6] a queue without timestamps, replayed %s: what it did not touch stays, what it touched counts as now',
    (replay) =>
      play(
        [
          phone.loses,
          [phone.edits({ room: 5 }), MINUTE],
          [desk.edits({ room: 2, status: 'arrived' }), HOUR],
          phone.comesBack(replay),
          visitIs({ room: 5, status: 'arrived' }),
        ],
        scene({ stamps: 'none' }),
      ),
  );

  test('[L5] without timestamps, a write 31 s after the connection began is live', () =>
    play(
      [
        phone.loses,
        [desk.edits({ room: 2 }), HOUR],
        phone.connects,
        [phone.catchesUp, 31 * SECOND],
        [phone.edits({ room: 1 }), 0],
        visitIs(),
      ],
      scene({ stamps: 'none' }),
    ));
});

describe('what a device wrote itself, it has seen', () => {
  for (const stamps of STAMPS) {
    for (const replay of REPLAYS) {
      test(`[L4 L5 L6] timestamps: ${stamps}, ${replay}: offline it takes back what it wrote before`, () =>
        play(
          [
            [phone.edits({ room: 2 }), MINUTE],
            [phone.loses, MINUTE],
            [phone.edits({ room: 1 }), MINUTE],
            phone.comesBack(replay),
            visitIs(),
          ],
          scene({ stamps }),
        ));

      test(`[L4 L5 L9] timestamps: ${stamps}, ${replay}: offline it deletes what it created before`, () =>
        play(
          [
            [phone.writes({ id: 'v2', room: 1 }), MINUTE],
            [phone.loses, MINUTE],
            [phone.removes('v2'), MINUTE],
            phone.comesBack(replay),
            recordIs('v2', null),
          ],
          scene({ stamps }),
        ));

      test(`[L4 L5 L6] timestamps: ${stamps}, ${replay}: offline it edits what it created before`, () =>
        play(
          [
            [phone.writes({ id: 'v2', room: 1, status: 'booked' }), MINUTE],
            desk.catchesUp,
            [phone.loses, MINUTE],
            phone.edits({ room: 2 }, 'v2'),
            [desk.edits({ status: 'called' }, 'v2'), MINUTE],
            phone.comesBack(replay),
            recordIs('v2', { id: 'v2', room: 2, status: 'called' }),
          ],
          scene({ stamps }),
        ));
    }
  }
});

describe('a queue that is sent twice, since nothing told the app that it had arrived', () => {
  for (const stamps of STAMPS) {
    for (const first of REPLAYS) {
      for (const second of REPLAYS) {
        test(`[L5 L6] timestamps: ${stamps}; ${first}, then ${second}: nothing changes, what others did in between survives`, async () => {
          let revision = -1;
          await play(
            [
              phone.loses,
              [phone.edits({ room: 2 }), MINUTE],
              [phone.edits({ status: 'arrived' }), MINUTE],
              phone.edits({ room: 3 }),
              phone.writes({ id: 'v2', room: 1 }),
              [phone.removes('other'), MINUTE],
              phone.replays(first, 'keep'),
              phone.loses,
              visitIs({ room: 3, status: 'arrived' }),
              [everybodyReads, 10 * SECOND],
              desk.edits({ status: 'called' }),
              [desk.edits({ room: 7 }, 'v2'), MINUTE],
              ({ practice }) => {
                revision = practice.document.revision;
              },
              phone.comesBack(second),
              visitIs({ room: 3, status: 'called' }),
              recordIs('v2', { id: 'v2', room: 7 }),
              recordIs('other', null),
              ({ practice }) => expect(practice.document.revision).toBe(revision),
            ],
            scene({ stamps }),
          );
        });

        test(`[L5 L6] timestamps: ${stamps}; ${first}, then ${second}: with the server stopped in between`, () =>
          play(
            [
              phone.loses,
              [phone.edits({ room: 2 }), MINUTE],
              [phone.edits({ room: 3 }), MINUTE],
              phone.replays(first, 'keep'),
              restarts('stopped'),
              desk.connects,
              [desk.catchesUp, 10 * SECOND],
              [desk.edits({ room: 4 }), MINUTE],
              phone.comesBack(second),
              visitIs({ room: 4 }),
            ],
            scene({ stamps }),
          ));
      }
    }
  }
});

describe('a server that starts anew while a device is away', () => {
  for (const how of ENDS) {
    for (const replay of REPLAYS) {
      for (const stamps of ['both', 'none'] as const) {
        test(`[L4 L5 L6] ${how}, timestamps: ${stamps}, replayed ${replay}: what the device did not touch stays`, () =>
          play(
            [
              phone.loses,
              [phone.edits({ status: 'arrived', tags: ['a', 'b', 'phone'] }), SECOND],
              [desk.edits({ room: 2, tags: ['desk', 'a', 'b'] }), SECOND],
              restarts(how),
              desk.connects,
              [desk.catchesUp, SECOND],
              [desk.edits({ at: '10:00' }), SECOND],
              phone.comesBack(replay),
              visitIs({ room: 2, at: '10:00', status: 'arrived', tags: ['desk', 'a', 'b', 'phone'] }),
            ],
            scene({ stamps }),
          ));
      }
    }

    test(`[L5 L6] ${how}: a conflict is decided by time`, () =>
      play([
        [phone.loses, SECOND],
        [phone.edits({ room: 5 }), SECOND],
        [desk.edits({ room: 2 }), SECOND],
        restarts(how),
        [desk.connects, HOUR],
        phone.comesBack(),
        visitHas({ room: 2 }),
      ]));

    test(`[L4 L5 L6] ${how} while the device is connected: its queue is compared with what it had`, () =>
      play([
        desk.edits({ room: 2 }),
        [everybodyReads, MINUTE],
        restarts(how),
        phone.edits({ status: 'arrived' }),
        desk.connects,
        desk.catchesUp,
        [desk.edits({ at: '10:00' }), MINUTE],
        phone.comesBack(),
        visitIs({ room: 2, status: 'arrived', at: '10:00' }),
      ]));
  }
});
