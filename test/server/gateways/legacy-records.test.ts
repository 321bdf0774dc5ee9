/** What whole documents of a JSON device do to fields, deleted records and values of all kinds (L6–L9). */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { JsonRecord } from '../../../shared/json.js';
import { HOUR, MINUTE, SECOND } from '../../support/json-apps.js';
import {
  bothConnect,
  desk,
  ENDS,
  everybodyReads,
  native,
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
  visitIsGone,
  visitMap,
  when,
} from '../../support/scenes.js';

describe('fields', () => {
  const OLD: JsonRecord = { id: 'v1', room: 1, person: { name: 'Anna' }, lines: [{ id: 'l1', text: 'x' }] };
  const NEW: JsonRecord = {
    ...OLD,
    insurance: 'A',
    person: { name: 'Anna', phone: '12' },
    lines: [{ id: 'l1', text: 'x', code: 7 }],
  };

  test.each(['live', 'offline'])('[L6] that the app does not know survive its writes (%s)', (how) =>
    play(
      [
        desk.writes(NEW),
        [everybodyReads, MINUTE],
        ...when(how === 'offline', phone.loses),
        [phone.writes({ ...OLD, room: 2 }), MINUTE],
        ...when(how === 'offline', phone.comesBack()),
        recordIs('v1', { ...NEW, room: 2 }),
      ],
      scene({}, OLD),
    ),
  );

  test.each(['live', 'offline'])('[L6] that the app knows and drops are removed (%s)', (how) =>
    play(
      [
        ...when(how === 'offline', phone.loses),
        [phone.writes({ ...OLD, room: 2 }), MINUTE],
        ...when(how === 'offline', phone.comesBack()),
        recordIs('v1', { ...OLD, room: 2 }),
      ],
      scene({}, NEW),
    ),
  );

  test.each(ENDS)('[L6] what it sent once is known after the server was %s', (how) =>
    play(
      [
        phone.writes({ ...NEW, id: 'another' }),
        desk.writes(NEW),
        [everybodyReads, MINUTE],
        restarts(how),
        ...bothConnect,
        [nothing, MINUTE],
        [phone.writes(OLD), 0],
        recordIs('v1', OLD),
      ],
      scene({}, OLD),
    ),
  );

  test('[L6] what it does not know survives even where it drops what it knows around it', () =>
    play(
      [
        desk.writes({ ...NEW, status: 'booked' }),
        [everybodyReads, MINUTE],
        [phone.writes(OLD), 0],
        recordIs('v1', NEW),
      ],
      scene({}, { ...OLD, status: 'booked' }),
    ));

  test('[L6 D3] an element that the app drops goes, one that somebody added meanwhile stays', () =>
    play(
      [
        phone.loses,
        [phone.edits({ lines: [{ id: 'l2' }, { id: 'l3' }] }), MINUTE],
        [desk.edits({ lines: [{ id: 'l1' }, { id: 'l2', code: 1 }, { id: 'l4' }] }), MINUTE],
        phone.comesBack(),
        ({ practice }) => {
          const lines = practice.record('v1')?.lines as { id: string }[];
          const inOrder = [...lines].sort((a, b) => (a.id < b.id ? -1 : 1));
          expect(inOrder).toEqual([{ id: 'l2', code: 1 }, { id: 'l3' }, { id: 'l4' }]);
        },
      ],
      scene({}, { id: 'v1', lines: [{ id: 'l1' }, { id: 'l2' }] }),
    ));
});

describe('deleted records', () => {
  const WAYS = ['live', ...REPLAYS] as const;
  const offline = (way: (typeof WAYS)[number]): Table => when(way !== 'live', phone.loses);
  const online = (way: (typeof WAYS)[number]): Table => (way === 'live' ? [] : [phone.comesBack(way)]);

  test.each(REPLAYS)('[L7] an edit made offline of what somebody deleted is dropped, %s', (replay) =>
    play([
      [phone.loses, MINUTE],
      [desk.removes(), MINUTE],
      [phone.edits({ room: 2 }), HOUR],
      phone.comesBack(replay),
      visitIsGone,
      (all) => {
        const corrections = all.phone.corrections.filter(({ type }) => type === 'DATA_DELETE');
        expect(corrections.map(({ data }) => data.documentId)).toEqual(['v1']);
      },
    ]),
  );

  test.each(ENDS)('[L7] also after the server was %s', (how) =>
    play([
      [phone.loses, MINUTE],
      [desk.removes(), MINUTE],
      phone.edits({ room: 2 }),
      restarts(how),
      desk.connects,
      phone.comesBack('before the pong'),
      visitIsGone,
    ]),
  );

  test('[L7] whoever saw the deletion can create the record again', () =>
    play([
      desk.removes(),
      [everybodyReads, MINUTE],
      [phone.writes({ id: 'v1', room: 9 }), 0],
      recordIs('v1', { id: 'v1', room: 9 }),
    ]));

  test.each(REPLAYS)('[L5 L7] offline as well, %s', (replay) =>
    play([
      desk.removes(),
      [everybodyReads, MINUTE],
      [phone.loses, MINUTE],
      [phone.writes({ id: 'v1', room: 9 }), MINUTE],
      phone.comesBack(replay),
      recordIs('v1', { id: 'v1', room: 9 }),
    ]),
  );

  test.each(WAYS)('[L7] deleted and created again by one device, %s', (way) =>
    play([
      ...offline(way),
      [phone.removes(), 100],
      [phone.writes({ id: 'v1', room: 9 }), 100],
      ...online(way),
      recordIs('v1', { id: 'v1', room: 9 }),
    ]),
  );

  test.each(WAYS)('[L7 L9] created and deleted again by one device, %s', (way) =>
    play([
      ...offline(way),
      [phone.writes({ id: 'v2', room: 9 }), 100],
      [phone.removes('v2'), 100],
      ...online(way),
      recordIs('v2', null),
    ]),
  );

  test.each(WAYS)('[L9] deletes what it had seen, %s', (way) =>
    play([
      ...offline(way),
      [phone.removes(), MINUTE],
      ...when(way !== 'live', [desk.edits({ room: 2 }), MINUTE], ...online(way)),
      visitIsGone,
    ]),
  );

  test.each(REPLAYS)('[L9] a replayed deletion of what somebody created again is dropped, %s', (replay) =>
    play([
      phone.loses,
      [phone.removes(), MINUTE],
      [desk.removes(), MINUTE],
      [desk.writes({ ...VISIT, room: 8 }), HOUR],
      phone.comesBack(replay),
      visitIs({ room: 8 }),
      (all) =>
        expect(all.phone.corrections.map(({ type, data }) => [type, data.document])).toContainEqual([
          'DATA_UPDATE',
          { ...VISIT, room: 8 },
        ]),
    ]),
  );

  test.each(REPLAYS)('[L9 H6] and of what was restored, %s', async (replay) => {
    const all = await scene();
    const { practice } = all;
    const { revision } = practice.document;
    await play(
      [
        phone.loses,
        [phone.removes(), MINUTE],
        [desk.removes(), MINUTE],
        [() => practice.restore('v1', revision), HOUR],
        phone.comesBack(replay),
        visitIs(),
      ],
      Promise.resolve(all),
    );
  });

  test.each(ENDS)('[L9] after the server was %s in between', (how) =>
    play([
      phone.loses,
      [phone.removes(), SECOND],
      [desk.removes(), SECOND],
      [desk.writes({ ...VISIT, room: 8 }), SECOND],
      restarts(how),
      [desk.connects, HOUR],
      phone.comesBack(),
      visitIs({ room: 8 }),
    ]),
  );

  test('[L9] a live one deletes what somebody created again just now', () =>
    play([
      [desk.removes(), MINUTE],
      desk.writes(VISIT),
      [everybodyReads, MINUTE],
      [phone.removes(), 0],
      visitIsGone,
    ]));

  test('[L9] one of nothing is told to nobody', async () => {
    const all = await scene();
    const before = all.desk.read.length;
    const { revision } = all.practice.document;
    await play([phone.removes('nothing'), everybodyReads], Promise.resolve(all));
    expect([all.desk.read.length, all.practice.document.revision]).toEqual([before, revision]);
  });

  test.each(REPLAYS)(
    '[L7] one id created by two devices apart is one record with the fields of both, %s',
    (replay) =>
      play([
        phone.loses,
        [phone.writes({ id: 'v2', room: 1, status: 'phone' }), MINUTE],
        [desk.writes({ id: 'v2', at: '11:00', status: 'desk' }), MINUTE],
        phone.comesBack(replay),
        recordIs('v2', { id: 'v2', room: 1, at: '11:00', status: 'desk' }),
      ]),
  );
});

describe('a device that was never met', () => {
  test.each(REPLAYS)('[L8] a write later than the last change is taken, nothing is removed, %s', (replay) =>
    play(
      [
        [phone.writes({ id: 'v1', room: 2, urgent: false, insurance: 'A' }), MINUTE],
        [desk.edits({ status: 'arrived' }), MINUTE],
        phone.comesBack(replay),
        visitIs({ room: 2, insurance: 'A', status: 'arrived' }),
      ],
      unmet(),
    ),
  );

  test.each(REPLAYS)('[L8] an earlier one only adds, %s', (replay) =>
    play(
      [
        [phone.writes({ id: 'v1', room: 2, status: 'old', insurance: 'A' }), MINUTE],
        [desk.edits({ status: 'arrived', room: 3 }), MINUTE],
        phone.comesBack(replay),
        visitIs({ insurance: 'A', status: 'arrived', room: 3 }),
      ],
      unmet(),
    ),
  );

  test.each(REPLAYS)('[L8] without a timestamp it adds what is missing and nothing else, %s', (replay) =>
    play(
      [
        phone.writes({ id: 'v1', room: 2, insurance: 'A' }),
        [phone.writes({ id: 'v2', room: 2 }), MINUTE],
        phone.comesBack(replay),
        visitIs({ insurance: 'A' }),
        recordIs('v2', { id: 'v2', room: 2 }),
      ],
      unmet({ stamps: 'none' }),
    ),
  );

  test.each(['both', 'none'] as const)(
    '[L7 L8] timestamps: %s; an older write does not bring back what was deleted',
    (stamps) =>
      play(
        [
          [phone.writes({ ...VISIT, room: 2 }), MINUTE],
          [desk.removes(), MINUTE],
          phone.comesBack(),
          visitIsGone,
        ],
        unmet({ stamps }),
      ),
  );

  test('[L4 L8] what it was sent, it has seen: a live write after that counts as any other', () =>
    play(
      [
        phone.connects,
        [phone.catchesUp, MINUTE],
        [phone.edits({ room: 2, status: undefined }), 0],
        visitHas({ room: 2 }),
      ],
      unmet(),
    ));
});

describe('kinds of values', () => {
  test('[D6 L6] a numeric id keeps its type', () =>
    play(
      [
        phone.loses,
        [phone.writes({ id: '7', room: 1, status: 'arrived' }), MINUTE],
        [desk.edits({ room: 2 }, '7'), MINUTE],
        phone.comesBack(),
        recordIs('7', { id: 7, room: 2, status: 'arrived' }),
      ],
      scene({}, { id: 7, room: 1 }),
    ));

  test('[D2 L6] an object that a native device stored as one value', () =>
    play([
      native((doc) => visitMap(doc).set('plain', { a: 1, list: [{ id: 'x', n: 1 }] })),
      [everybodyReads, MINUTE],
      [phone.edits({ room: 2 }), 0],
      native((doc) => {
        const plain = visitMap(doc).get('plain');
        expect(plain, 'a write of another field leaves it as it is').not.toBeInstanceOf(Y.AbstractType);
      }),
      phone.loses,
      [phone.edits({ plain: { a: 2, list: [{ id: 'x', n: 1 }] } }), MINUTE],
      [native((doc) => visitMap(doc).set('plain', { a: 1, list: [{ id: 'x', n: 1 }, { id: 'y' }] })), MINUTE],
      phone.comesBack(),
      visitIs({ room: 2, plain: { a: 2, list: [{ id: 'x', n: 1 }, { id: 'y' }] } }),
    ]));

  test.each(REPLAYS)('[D2 L6] a Y.Text that both sides edited, %s', (replay) =>
    play([
      native((doc) => visitMap(doc).set('note', new Y.Text('Fever. Cough.'))),
      [everybodyReads, MINUTE],
      phone.loses,
      [phone.edits({ note: 'Fever. No cough.' }), MINUTE],
      [native((doc) => (visitMap(doc).get('note') as Y.Text).insert(0, 'High ')), MINUTE],
      phone.comesBack(replay),
      visitHas({ note: 'High Fever. No cough.' }),
      native((doc) => expect(visitMap(doc).get('note')).toBeInstanceOf(Y.Text)),
    ]),
  );

  test('[D2 L6] a Y.Text that only the native device edited stays as it made it', () =>
    play([
      native((doc) => visitMap(doc).set('note', new Y.Text('Fever.'))),
      [everybodyReads, MINUTE],
      phone.loses,
      [phone.edits({ room: 2 }), MINUTE],
      [native((doc) => (visitMap(doc).get('note') as Y.Text).insert(0, 'High ')), MINUTE],
      phone.comesBack(),
      visitIs({ room: 2, note: 'High Fever.' }),
    ]));
});
