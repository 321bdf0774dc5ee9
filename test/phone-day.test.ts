/**
 * The day of a phone that loses its network in the morning and comes back in the evening with a queue of whole
 * documents: real sockets, real devices of all kinds, the built server as a process that was started anew meanwhile.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { Via } from '../server/documents/history/history-entry.js';
import type { Collections, Json, JsonRecord } from '../shared/json.js';
import { type ById, byId, clinic, recordsOf } from './support/clinic.js';
import { JsonDevice } from './support/devices/json-device.js';
import { HttpDevice } from './support/devices/json-http.js';
import type { ServerMessage } from './support/devices/json-words.js';
import { NativeDevice } from './support/devices/native-device.js';
import { storeOptions } from './support/either-store.js';
import { historyProblems, readHistory, type ShownEntry } from './support/history.js';
import { type App, type AppOptions, DAY, HOUR, MINUTE, Practice, SECOND } from './support/json-apps.js';
import { Phone, type PhoneHabits } from './support/phone.js';
import { ServerProcess } from './support/server-process.js';
import { useJson, useServer } from './support/use.js';
import { PATIENCE } from './support/wait.js';

const VISIT = {
  resourceType: 'Appointment',
  id: 'visit',
  status: 'booked',
  start: '2026-03-02T09:00:00+01:00',
  minutesDuration: 30,
  comment: 'Bring the blood sugar diary.',
  location: { display: 'Room 3', floor: 1, building: null },
  reminder: { channel: 'sms', minutesBefore: 60 },
  participant: [{ id: 'p1', display: 'Dr Anna Müller', required: true }],
} satisfies JsonRecord;
const CHECKUP = { ...VISIT, id: 'checkup', comment: 'Annual check-up.' } satisfies JsonRecord;
const VACCINATION = { ...VISIT, id: 'vaccination', description: 'Flu', priority: 5 } satisfies JsonRecord;
const X_RAY = { ...VISIT, id: 'x-ray', comment: 'Left wrist.' } satisfies JsonRecord;
const DENTIST = { ...VISIT, id: 'dentist', comment: 'Cleaning.' } satisfies JsonRecord;

const medicine = (id: string, display: string, value: number) => ({
  id,
  display,
  dose: { value, unit: 'mg' },
  times: ['08:00', '20:00'],
});
const METFORMIN = medicine('m1', 'Metformin', 500);
const RAMIPRIL = medicine('m2', 'Ramipril', 2.5);
const ASPIRIN = medicine('m3', 'Acetylsalicylic acid', 100);
const IBUPROFEN = medicine('m4', 'Ibuprofen', 400);
const PRESCRIPTION = {
  resourceType: 'MedicationRequest',
  id: 'prescription',
  status: 'active',
  medicines: [METFORMIN, RAMIPRIL],
} satisfies JsonRecord;

const CONSULTATION = { resourceType: 'Encounter', id: 'talk', status: 'in-progress' } satisfies JsonRecord;
const NOTE = 'Mild headaches since Monday. Blood pressure 135/85. Next visit in two weeks.';

const diary = (id: string, value: number) => ({ id, resourceType: 'Observation', code: 'glucose', value });

type HistoryLine = Pick<ShownEntry, 'deviceId' | 'via' | 'collection' | 'id' | 'before' | 'after'>;

interface DayOptions {
  readonly user: string;
  readonly habits: PhoneHabits;
  /** Whether the phone has ever sent anything before it goes offline. */
  readonly phoneWrites: boolean;
  /** What there is besides, which nobody touches. */
  readonly others: readonly (readonly [collection: string, record: JsonRecord])[];
}

const ALL = recordsOf(clinic());
/** One of ten: to compare all 1.3 MB at each turn of each day takes longer than the days. */
const SOME = ALL.filter((_, index) => index % 10 === 0);

/** Server and devices, and what is expected: the records, and the line of the history that each change makes. */
class Day {
  readonly lines: HistoryLine[] = [];
  /** When the phone made a change, by the number of its line. */
  readonly madeAt = new Map<number, number>();
  /** Everything that the phone did offline, in order: how to enter it into what is expected. */
  readonly queued: (() => void)[] = [];
  readonly server: ServerProcess;
  readonly user: string;
  readonly options: DayOptions;
  readonly phone: Phone;
  readonly portal: HttpDevice;
  laptop!: NativeDevice; // the others are there once the day has begun
  desk!: JsonDevice;
  records: ById = {};
  /** How many lines there were when the phone went offline. */
  seen = 0;

  constructor(server: ServerProcess, options: DayOptions) {
    this.server = server;
    this.user = options.user;
    this.options = options;
    this.phone = new Phone(server.url, this.user, 'phone', options.habits);
    this.portal = new HttpDevice(server.url, this.user, 'portal');
  }

  /** Somebody's change is expected to have made this of a record. */
  expect(deviceId: string, via: Via, collection: string, id: string, after: JsonRecord | null): void {
    const before = this.records[collection]?.[id] ?? null;
    const { [id]: _, ...others } = this.records[collection] ?? {};
    this.records = { ...this.records, [collection]: after === null ? others : { ...others, [id]: after } };
    this.lines.push({ deviceId, via, collection, id, before, after });
  }

  expectFields(
    deviceId: string,
    via: Via,
    collection: string,
    id: string,
    fields: Readonly<Record<string, Json>>,
  ): void {
    const record = this.records[collection]?.[id] as JsonRecord;
    this.expect(deviceId, via, collection, id, { ...record, ...fields });
  }

  /** The phone edits offline; its replay is expected to change these fields, the very same unless told. */
  phoneEdits(
    collection: string,
    id: string,
    fields: Readonly<Record<string, Json>>,
    replay: () => Readonly<Record<string, Json>> | null = () => fields,
  ): void {
    const madeAt = this.phone.edit(collection, id, fields);
    this.queued.push(() => {
      const merged = replay();
      if (merged === null) return;
      this.madeAt.set(this.lines.length, madeAt);
      this.expectFields('phone', 'json', collection, id, merged);
    });
  }

  /** Everybody edits on top of what there is: the desk has received it by now. */
  async deskEdits(collection: string, id: string, fields: Readonly<Record<string, Json>>): Promise<void> {
    await this.desk.saved();
    const record = this.desk.store[collection]?.[id];
    this.desk.update(collection, { ...record, ...fields });
    await this.desk.saved();
    this.expectFields('desk', 'json', collection, id, fields);
  }

  async deskDeletes(collection: string, id: string): Promise<void> {
    this.desk.delete(collection, id);
    await this.desk.saved();
    this.expect('desk', 'json', collection, id, null);
  }

  async portalEdits(collection: string, id: string, fields: Readonly<Record<string, Json>>): Promise<void> {
    await this.portal.get();
    await this.portal.write([collection, { ...this.portal.record(collection, id), ...fields }]);
    this.expectFields('portal', 'http', collection, id, fields);
  }

  async laptopEdits(
    collection: string,
    id: string,
    edit: (record: Y.Map<unknown>) => void,
    fields: Readonly<Record<string, Json>>,
  ): Promise<void> {
    await this.laptop.saved();
    edit(this.laptop.record(collection, id));
    await this.laptop.saved();
    this.expectFields('laptop', 'yjs', collection, id, fields);
  }

  get note(): Y.Text {
    return this.laptop.record('consultations', 'talk').get('note') as Y.Text;
  }

  /** What GET /api/sync gives somebody who was never here. */
  async fetched(): Promise<Collections> {
    const response = await fetch(`${this.server.url}/api/sync/${this.user}`);
    return (await response.json()) as Collections;
  }

  /** All four devices, and the server, have what is expected. */
  async expectConverged(): Promise<void> {
    await this.desk.saved();
    await this.laptop.saved();
    await this.portal.get();
    expect(byId(await this.fetched())).toEqual(this.records);
    expect(this.desk.store).toEqual(this.records);
    expect(this.laptop.json()).toEqual(this.records);
    expect(this.portal.store).toEqual(this.records);
    if (this.phone.isOnline) expect(this.phone.store).toEqual(this.records);
  }

  /** The entries of the history that are kept. */
  history(): Promise<ShownEntry[]> {
    return readHistory({ url: this.server.url, user: this.user }, { limit: 500 });
  }

  async end(): Promise<void> {
    this.laptop?.close();
    this.desk?.ws.terminate();
    await this.phone.disconnect();
  }
}

/** Everybody has version 1 of everything; then the phone goes offline. */
async function morning(day: Day): Promise<void> {
  const { server, user, options, phone, portal } = day;
  const first: [string, JsonRecord][] = [
    ...[VISIT, CHECKUP, VACCINATION, X_RAY, DENTIST].map((each): [string, JsonRecord] => [
      'appointments',
      each,
    ]),
    ['prescriptions', PRESCRIPTION],
    ['consultations', CONSULTATION],
    ...options.others.map(([name, record]): [string, JsonRecord] => [name, record]),
  ];
  await portal.write(...first);
  const written = new Map(first.map(([collection, record]) => [`${collection}/${record.id}`, record]));
  // In which order one batch stands in the history is left open.
  for (const { collection, id } of await day.history()) {
    day.expect('portal', 'http', collection, id, written.get(`${collection}/${id}`) ?? null);
  }
  expect(day.lines).toHaveLength(written.size);
  day.laptop = await NativeDevice.connect(server.url, user, 'laptop');
  await day.laptopEdits('consultations', 'talk', (talk) => talk.set('note', new Y.Text(NOTE)), {
    note: NOTE,
  });
  day.desk = await JsonDevice.connect(server.url, user, 'desk');
  await phone.connect();
  if (options.phoneWrites) {
    phone.write('medicalRecords', diary('diary-1', 6.1));
    await phone.saved();
    day.expect('phone', 'json', 'medicalRecords', 'diary-1', diary('diary-1', 6.1));
  }
  await day.expectConverged();
  const from = server.lines.length;
  await phone.disconnect();
  await server.line(new RegExp(`Connection closed: User ${user}, Device phone`), from);
}

/** The phone edits without a network, the others with one. */
async function noon(day: Day): Promise<void> {
  const isTimed = day.options.habits.stamps !== 'none';
  day.phoneEdits('appointments', 'visit', { comment: 'I also bring my wife.' });
  day.phoneEdits('appointments', 'checkup', { status: 'arrived' }, () => null);
  // The desk decides otherwise, later: that counts, where the queue can tell that it is older.
  day.phoneEdits('appointments', 'vaccination', { priority: 3 }, () => (isTimed ? null : { priority: 3 }));
  await day.deskEdits('appointments', 'visit', { location: { ...VISIT.location, display: 'Room 7' } });
  await day.laptopEdits('appointments', 'visit', (visit) => visit.set('status', 'confirmed'), {
    status: 'confirmed',
  });
  await day.portalEdits('appointments', 'visit', { minutesDuration: 45 });
  await day.deskDeletes('appointments', 'checkup');
  await day.deskEdits('appointments', 'vaccination', { description: 'Flu and tetanus' });
}

async function startAnew(server: ServerProcess, days: readonly Day[], how: Restart): Promise<void> {
  expect((await (how === 'SIGTERM' ? server.stop() : server.kill())).signal).toBe(
    how === 'SIGTERM' ? null : 'SIGKILL',
  );
  for (const { desk, laptop } of days) {
    await desk.end();
    await laptop.until(() => !laptop.provider.wsconnected);
  }
  await server.restart();
}

/** The server was started anew; the phone is offline still. */
async function afternoon(day: Day): Promise<void> {
  const { server, user, phone } = day;
  day.desk = await JsonDevice.connect(server.url, user, 'desk');
  await day.laptop.synced();
  await day.expectConverged();

  const medicines = [METFORMIN, RAMIPRIL, IBUPROFEN];
  day.phoneEdits('prescriptions', 'prescription', { medicines }, () => ({
    medicines: [
      { ...METFORMIN, dose: { value: 850, unit: 'mg' } },
      { ...RAMIPRIL, times: ['08:00'] },
      ASPIRIN,
      IBUPROFEN,
    ],
  }));
  const pressed = { note: NOTE.replace('135/85', '128/80, measured at home') };
  day.phoneEdits('consultations', 'talk', pressed, () => ({
    note: 'Mild headaches, no fever, since Monday. Blood pressure 128/80, measured at home. Next visit in two weeks.',
  }));
  day.phoneEdits('appointments', 'visit', { reminder: { channel: 'sms', minutesBefore: 15 } });
  day.phoneEdits('appointments', 'vaccination', { description: 'Flu, please no tetanus' });
  const created = phone.write('medicalRecords', diary('diary-2', 5.4));
  day.queued.push(() => {
    day.madeAt.set(day.lines.length, created);
    day.expect('phone', 'json', 'medicalRecords', 'diary-2', diary('diary-2', 5.4));
  });
  phone.delete('appointments', 'x-ray'); // the desk makes it anew, so this is dropped
  const deleted = phone.delete('appointments', 'dentist');
  day.queued.push(() => {
    day.madeAt.set(day.lines.length, deleted);
    day.expect('phone', 'json', 'appointments', 'dentist', null);
  });

  await day.portalEdits('prescriptions', 'prescription', { medicines: [METFORMIN, RAMIPRIL, ASPIRIN] });
  await day.deskEdits('prescriptions', 'prescription', {
    medicines: [METFORMIN, { ...RAMIPRIL, times: ['08:00'] }, ASPIRIN],
  });
  await day.laptopEdits(
    'prescriptions',
    'prescription',
    (prescription) => {
      const first = (prescription.get('medicines') as Y.Array<Y.Map<Y.Map<unknown>>>).get(0);
      first.get('dose')?.set('value', 850);
    },
    {
      medicines: [
        { ...METFORMIN, dose: { value: 850, unit: 'mg' } },
        { ...RAMIPRIL, times: ['08:00'] },
        ASPIRIN,
      ],
    },
  );
  await day.laptopEdits(
    'consultations',
    'talk',
    (talk) => (talk.get('note') as Y.Text).insert('Mild headaches'.length, ', no fever,'),
    { note: NOTE.replace('headaches', 'headaches, no fever,') },
  );
  await day.deskEdits('appointments', 'vaccination', { priority: 1 });
  await day.deskDeletes('appointments', 'x-ray');
  day.desk.update('appointments', { ...X_RAY, comment: 'Right wrist.' });
  await day.desk.saved();
  day.expect('desk', 'json', 'appointments', 'x-ray', { ...X_RAY, comment: 'Right wrist.' });
  await day.expectConverged();
}

const corrections = (messages: readonly ServerMessage[], type: 'DATA_UPDATE' | 'DATA_DELETE') =>
  messages
    .filter(({ fromDevice }) => fromDevice === 'server')
    .filter((message) => message.type === type)
    .map(({ data }) => data.document?.id ?? data.documentId);

/** The phone comes back; only what it changed changes, and it gets what it does not know. */
async function evening(day: Day): Promise<void> {
  const { phone, desk } = day;
  const [note, heardByDesk] = [day.note, desk.messages.length];
  await phone.connect();
  for (const replay of day.queued) replay();

  const { appointments, prescriptions, consultations } = byId(await day.fetched());
  expect(appointments?.visit).toEqual({
    ...VISIT,
    status: 'confirmed',
    minutesDuration: 45,
    location: { display: 'Room 7', floor: 1, building: null },
    comment: 'I also bring my wife.',
    reminder: { channel: 'sms', minutesBefore: 15 },
  });
  const priority = day.options.habits.stamps === 'none' ? 3 : 1;
  expect(appointments?.vaccination).toEqual({
    ...VACCINATION,
    description: 'Flu, please no tetanus',
    priority,
  });
  expect(appointments).not.toHaveProperty('checkup');
  expect(appointments).not.toHaveProperty('dentist');
  expect(appointments?.['x-ray']).toEqual({ ...X_RAY, comment: 'Right wrist.' });
  expect(prescriptions?.prescription?.medicines).toEqual([
    { ...METFORMIN, dose: { value: 850, unit: 'mg' } },
    { ...RAMIPRIL, times: ['08:00'] },
    ASPIRIN,
    IBUPROFEN,
  ]);
  expect(consultations?.talk?.note).toBe(
    'Mild headaches, no fever, since Monday. Blood pressure 128/80, measured at home. Next visit in two weeks.',
  );

  expect(phone.of('ERROR')).toEqual([]);
  expect(corrections(phone.of('DATA_DELETE'), 'DATA_DELETE')).toContain('checkup');
  const corrected = new Set(corrections(phone.of('DATA_UPDATE'), 'DATA_UPDATE'));
  corrected.delete('diary-2'); // sent back only where the full sync crossed it
  expect(corrected).toEqual(new Set(['visit', 'vaccination', 'prescription', 'talk', 'x-ray']));
  await day.expectConverged();
  const told = desk.messages.slice(heardByDesk).filter(({ fromDevice }) => fromDevice !== undefined);
  expect(new Set(told.map(({ fromDevice }) => fromDevice))).toEqual(new Set(['phone']));
  expect(told.map(({ data }) => data.document?.id ?? data.documentId)).not.toContain('checkup');
  expect(day.note, 'the note is the text that it was').toBe(note);
}

/** Who changed what, from where to where, when. */
async function expectHistory(day: Day, kept: readonly ShownEntry[]): Promise<void> {
  const lines = kept.map(
    ({ deviceId, via, collection, id, before, after }): HistoryLine => ({
      deviceId,
      via,
      collection,
      id,
      before,
      after,
    }),
  );
  expect(lines).toEqual(day.lines.slice(-lines.length));
  const first = day.lines.length - lines.length;
  for (const [index, { at, madeAt }] of kept.entries()) {
    const queuedAt = day.madeAt.get(first + index);
    if (queuedAt === undefined) expect(madeAt).toBeLessThanOrEqual(at);
    else if (day.options.habits.stamps === 'none') expect(madeAt).toBe(at);
    else expect([madeAt >= queuedAt, madeAt < at, madeAt - queuedAt < 1_000]).toEqual([true, true, true]);
  }
}

/** The deleted record is brought back as it was, for everybody. */
async function restoreCheckup(day: Day): Promise<void> {
  const { server, user, desk, phone, laptop } = day;
  const place = { url: server.url, user };
  const query = { collection: 'appointments', id: 'checkup' };
  const deletion = (await readHistory(place, query)).at(-1);
  expect(deletion).toMatchObject({ deviceId: 'desk', before: CHECKUP, after: null });
  const response = await fetch(`${server.url}/api/history/${user}/restore`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Device-ID': 'doctor' },
    body: JSON.stringify({ ...query, revision: (deletion?.revision ?? 0) - 1 }),
  });
  expect([response.status, await response.json()]).toEqual([
    200,
    expect.objectContaining({ collection: 'appointments', document: CHECKUP }),
  ]);
  day.expect('doctor', 'restore', 'appointments', 'checkup', CHECKUP);
  await phone.until(() => phone.store.appointments?.checkup);
  await desk.until(() => desk.store.appointments?.checkup);
  await laptop.until(() => laptop.json().appointments?.checkup);
  await day.expectConverged();
}

const QUEUED: PhoneHabits = { stamps: 'both', replays: 'after the full sync' };

const habits: readonly { readonly name: string; readonly habits: PhoneHabits; readonly only?: 'read' }[] = [
  { name: 'with the time of each change', habits: QUEUED },
  { name: 'by a phone that had only read', habits: QUEUED, only: 'read' },
  { name: 'with old times outside as well', habits: { ...QUEUED, stamps: 'stored' } },
  { name: 'without a time, within the first 30 s', habits: { ...QUEUED, stamps: 'none' } },
  { name: 'at open, before the full sync was received', habits: { ...QUEUED, replays: 'at open' } },
  {
    name: 'at open and without a time',
    habits: { stamps: 'none', replays: 'at open' },
  },
];

type Restart = 'SIGTERM' | 'SIGKILL';

/** Days of several users at one server, up to the evening. */
class Days {
  readonly all: Day[] = [];
  #server: ServerProcess | undefined;

  async begin(
    options: Readonly<Record<string, string>>,
    setups: readonly DayOptions[],
    restart: Restart,
  ): Promise<void> {
    // What is told of a day is told message by message, so none waits for another one. All days come back at once, and
    // however slow the machine is, each is let in at its first try.
    const common = { LOG_LEVEL: 'info', JSON_PACE: '0', UPGRADE_TIMEOUT: '60s' };
    const told = { ...common, ...options, ...(await storeOptions()) };
    const server = await ServerProcess.start(told);
    this.#server = server;
    for (const setup of setups) this.all.push(new Day(server, setup));
    await this.#each(morning);
    for (const day of this.all) day.seen = day.lines.length;
    await this.#each(noon);
    await startAnew(server, this.all, restart);
    await this.#each(afternoon);
  }

  async end(): Promise<void> {
    await this.#each((day) => day.end());
    await this.#server?.dispose();
  }

  async #each(part: (day: Day) => Promise<void>): Promise<void> {
    await Promise.all(this.all.map(part));
  }
}

describe.each(['SIGTERM', 'SIGKILL'] as const)('a phone that was away while the server got %s', (restart) => {
  const days = new Days();
  beforeAll(async () => {
    const setups = habits.map(({ habits, only }, index) => ({
      user: `patient-${index}`,
      habits,
      phoneWrites: only === undefined,
      others: index === 0 ? ALL : SOME,
    }));
    await days.begin({}, setups, restart);
  }, 6 * PATIENCE);
  afterAll(() => days.end());

  test.each(habits.map(({ name }, index) => ({ name, index })))(
    '[L4 L5 L6 L7 L9 H1 H2 H5 H6 P6] its queue, replayed $name',
    async ({ index }) => {
      const day = days.all[index] as Day;
      await evening(day);
      const kept = await day.history();
      expect(kept).toHaveLength(day.lines.length);
      await expectHistory(day, kept);
      await restoreCheckup(day);
      const all = await day.history();
      await expectHistory(day, all);
      expect(historyProblems(all, await day.fetched(), day.lines.length)).toEqual([]);
    },
  );
});

describe.each(['SIGTERM', 'SIGKILL'] as const)('HISTORY_DAYS=0 over a %s', (restart) => {
  const days = new Days();
  beforeAll(async () => {
    // In the first day of a server, only who knows the clock can have it forget anything (P9).
    const server = { HISTORY_DAYS: '0', CONFIRM_CLOCK: new Date().toISOString().slice(0, 10) };
    const setup = { user: 'patient', habits: QUEUED, phoneWrites: true, others: SOME };
    await days.begin(server, [setup], restart);
  }, 6 * PATIENCE);
  afterAll(() => days.end());

  test('[H7 L4 L6 L7 H6] keeps what the merge needs, and no more', async () => {
    const [day] = days.all as [Day];
    const needed = await day.history();
    expect(needed.map(({ revision }) => revision)).toContain(day.seen + 1);
    expect(needed.length).toBeLessThan(day.lines.length);
    await expectHistory(day, needed);
    await evening(day);
    await restoreCheckup(day);
    await expectHistory(day, await day.history());
  });
});

describe('what an hour, a lost answer or a crash in between does not change', () => {
  const BOOKED: JsonRecord = { id: 'v1', at: '09:00', room: 1, status: 'booked' };

  /** A visit that both have; the clock of the desk is known, that of the phone only if it writes. */
  async function visit(options: AppOptions = {}, phoneWrites = true) {
    const practice = await Practice.open();
    const desk = await practice.connected('desk');
    desk.write(BOOKED);
    const phone = await practice.connected('phone', options);
    if (phoneWrites) phone.write({ ...BOOKED, id: 'other' });
    await practice.catchUp();
    await practice.pass(MINUTE);
    return { practice, desk, phone };
  }

  async function comeBack(app: App): Promise<void> {
    app.connect();
    await app.catchUp();
    await app.replay();
    await app.catchUp();
  }

  test.each([
    ['first', ['earlier', 'later']],
    ['last', ['later', 'earlier']],
  ])(
    '[L5 L6] of two queues the later change counts, also where the earlier one arrives %s',
    async (_, order) => {
      const { practice, desk: earlier, phone: later } = await visit();
      earlier.lose();
      later.lose();
      earlier.edit('v1', { room: 2 });
      await practice.pass(MINUTE);
      later.edit('v1', { room: 3 });
      await practice.pass(HOUR);
      for (const name of order) {
        await comeBack(name === 'earlier' ? earlier : later);
        await practice.pass(MINUTE);
      }
      expect(practice.record('v1')).toEqual({ ...BOOKED, room: 3 });
      await practice.catchUp();
      expect([earlier.record('v1'), later.record('v1')]).toEqual([
        { ...BOOKED, room: 3 },
        { ...BOOKED, room: 3 },
      ]);
    },
  );

  test('[L7] a deletion in a queue is as old as it was made: what was made later, unseen, is created', async () => {
    const { practice, phone } = await visit();
    const stranger = practice.app('stranger');
    phone.lose();
    phone.remove('v1');
    await practice.pass(MINUTE);
    stranger.write({ id: 'v1', room: 9 });
    await practice.pass(HOUR);
    await comeBack(phone);
    expect(practice.record('v1')).toBeNull();
    await practice.pass(MINUTE);
    await comeBack(stranger);
    expect(practice.record('v1')).toEqual({ id: 'v1', room: 9 });
  });

  test('[L5 L9] without a pong every write may be from a queue: it does not delete what was created again', async () => {
    const { practice, desk, phone } = await visit();
    phone.lose();
    desk.remove('v1');
    await practice.pass(MINUTE);
    desk.write({ ...BOOKED, room: 8 });
    await practice.pass(MINUTE);
    phone.answersPings = false;
    phone.connect();
    await practice.pass(MINUTE);
    phone.remove('v1');
    await practice.settle();
    expect(practice.record('v1')).toEqual({ ...BOOKED, room: 8 });
    await phone.readAll();
    expect(phone.record('v1')).toEqual({ ...BOOKED, room: 8 });
  });

  test.each(['both', 'none'] as const)(
    '[H1 L9] a POST deletes what an answer showed anew, timestamps: %s',
    async (stamps) => {
      const { practice, desk, phone } = await visit({ stamps });
      phone.lose();
      await phone.get();
      await phone.get();
      desk.remove('v1');
      await practice.pass(MINUTE);
      desk.write({ ...BOOKED, room: 8 });
      await practice.pass(MINUTE);
      await phone.get();
      phone.remove('v1');
      await practice.pass(MINUTE);
      await phone.post();
      expect(practice.record('v1')).toBeNull();
    },
  );

  test('[L5 L6] a clock that is ahead, and not known yet, does not make a queue new', async () => {
    const { practice, desk, phone } = await visit({ clock: 3 * DAY }, false);
    phone.lose();
    phone.edit('v1', { status: 'arrived' });
    await practice.pass(MINUTE);
    desk.edit('v1', { room: 2 });
    await practice.pass(MINUTE);
    phone.connect();
    await phone.catchUp();
    await practice.pass(10 * SECOND);
    await phone.replay();
    expect(practice.record('v1')).toEqual({ ...BOOKED, room: 2, status: 'arrived' });
  });

  test.each(['stopped', 'killed'] as const)(
    '[L4 L6 P6] a value that lost stays lost, where the device never read so and the server was %s',
    async (how) => {
      const { practice, desk, phone } = await visit();
      phone.lose();
      phone.edit('v1', { room: 5 });
      await practice.pass(MINUTE);
      desk.edit('v1', { room: 3 });
      await practice.pass(MINUTE);
      phone.connect();
      await phone.catchUp();
      await phone.replay();
      expect([practice.record('v1')?.room, phone.record('v1')?.room]).toEqual([3, 5]);
      await practice.restart(how);
      phone.edit('v1', { status: 'arrived' });
      await practice.pass(MINUTE);
      await comeBack(phone);
      expect(practice.record('v1')).toEqual({ ...BOOKED, room: 3, status: 'arrived' });
      expect(phone.record('v1')).toEqual({ ...BOOKED, room: 3, status: 'arrived' });
    },
  );

  const WAYS = ['a socket', 'GET', 'POST'] as const;
  const ends = (['stopped', 'killed'] as const).flatMap((how) => WAYS.map((way) => ({ way, how })));

  test.each(ends)(
    '[L4 L6 P6] what a device got over $way for the first time, as the server was $how, is what it wrote on',
    async ({ way, how }) => {
      const practice = await Practice.open();
      const desk = await practice.connected('desk');
      desk.write(BOOKED);
      await practice.pass(MINUTE);
      const phone = practice.app('phone');
      if (way === 'a socket') {
        phone.connect();
        await phone.catchUp();
      } else {
        if (way === 'POST') phone.write({ ...BOOKED, id: 'other' });
        await (way === 'POST' ? phone.post() : phone.get());
        await phone.get();
      }
      await practice.pass(MINUTE);
      await practice.restart(how);
      desk.connect();
      await desk.catchUp();
      desk.edit('v1', { room: 2 });
      await practice.pass(MINUTE);
      phone.edit('v1', { status: 'arrived' });
      await practice.pass(MINUTE);
      if (way === 'a socket') await comeBack(phone);
      else await phone.post();
      expect(practice.record('v1')).toEqual({ ...BOOKED, room: 2, status: 'arrived' });
    },
  );

  test('[L5 L6] a change that says it was made tomorrow counts as made now: a later one wins', async () => {
    const server = await useServer(await storeOptions());
    const portal = new HttpDevice(server.url, 'patient', 'portal');
    await portal.write(['visits', BOOKED]);
    const phone = await useJson(server, 'patient', 'phone');
    const [document, timestamp] = [{ ...BOOKED, room: 2 }, Date.now() + DAY];
    phone.update('visits', document, { data: { collection: 'visits', document, timestamp } });
    await phone.saved();
    await portal.write(['visits', { ...BOOKED, room: 3 }]);
    expect(portal.store.visits).toEqual({ v1: { ...BOOKED, room: 3 } });
    await phone.until(() => phone.store.visits?.v1?.room === 3);
    expect(phone.store.visits).toEqual(portal.store.visits);
  });
});
