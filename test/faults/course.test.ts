import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocketServer } from 'ws';
import { apply } from '../support/devices/json-words.js';
import { useServer } from '../support/use.js';
import { PATIENCE } from '../support/wait.js';
import { Chance } from './chance.js';
import { aboutAll, aboutOne, Course, KEPT } from './course.js';
import { JsonWriter } from './json-writer.js';
import { Ledger } from './ledger.js';
import { Patient } from './nodes/patient.js';
import { Witness } from './witness.js';

const A0 = 'appointments/a0';

it('a course keeps the last events, and shows of them what they say of the records that are asked for', () => {
  const course = new Course();
  const document = { id: 'a0', exchange: 5 };
  for (let n = 0; n < KEPT + 5; n++)
    course.note(`event ${n}`, aboutOne({ collection: 'appointments', document }));
  expect(course.lines()).toHaveLength(KEPT);
  expect(course.lines()[0]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z event 5$/);
  expect(course.lines([A0, 'appointments/a1']).at(-1)).toMatch(
    / event 304 appointments\/a0 = {"id":"a0","exchange":5}$/,
  );
});

it('an event shows all records as they were then', () => {
  const course = new Course();
  const records = { appointments: { a0: { id: 'a0', exchange: 5 } } };
  course.note('all', aboutAll(records));
  apply(records, { collection: 'appointments', document: { id: 'a0', exchange: 2 } });
  expect(course.lines([A0])[0]).toMatch(/ all appointments\/a0 = {"id":"a0","exchange":5}$/);
});

it('a FULL_SYNC is what a device has as it comes, also where its connection ends before it is confirmed', async () => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.close());
  await once(server, 'listening');
  const data = { appointments: [{ id: 'a0', exchange: 5 }] };
  server.once('connection', (ws) => {
    ws.send(JSON.stringify({ type: 'FULL_SYNC', data, timestamp: 1 }));
    ws.ping('1');
    ws.once('pong', () => ws.terminate());
  });
  const tablet = new JsonWriter(
    'tablet',
    {
      ...{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, user: 'anna' },
      ...{ ledger: new Ledger(), witness: new Witness(), settled: ['a0'], contested: () => 'c0' },
    },
    new Chance(1),
  );
  await expect(tablet.connect()).rejects.toThrow('closed with 1006');
  for (let left = 20; left > 0; left--) tablet.edit();
  const made = tablet.course.lines([A0]).filter((line) => line.includes(`of ${A0}`));
  expect(made[0]).toMatch(/ made "change \d+" of appointments\/a0 .*"exchange":5/);
});

it('what a user lost is told with the changes of that record and the courses of what speaks JSON', async () => {
  const { url } = await useServer();
  const chance = new Chance(1);
  const place = {
    url,
    frontOf: () => 'the only node',
    linesOf: (user: string) => [`the only node: a line about ${user}`],
    revisions: async () => 'stored as one revision',
  };
  const patient = new Patient(place, 'anna', () => new Chance(chance.below(2 ** 32)));
  onTestFinished(() => patient.end());
  await patient.begin();
  const untilEqual = () => expect.poll(() => patient.hindrance(), { timeout: PATIENCE }).toBeNull();
  await untilEqual();
  for (let left = 20; left > 0; left--) patient.json.edit();
  await patient.batch.send();
  await untilEqual();
  expect(await patient.verdict()).toEqual([]);

  const never = { kind: 'value', record: A0, field: 'nobody', value: 7 } as const;
  patient.ledger.issue(never);
  patient.ledger.confirm(never);
  const [problem = '', ...others] = await patient.verdict();
  expect(others).toEqual([]);
  const lines = problem.split('\n  ');
  expect(lines[0]).toMatch(/^anna: appointments\/a0 nobody is 0, was 7, acknowledged at /);
  for (const told of [
    /^appointments\/a0: revision \d+ by tablet via json at .*, made at .*"id":"a0"/,
    /^stored as one revision$/,
    /^tablet .* is led to the only node$/,
    /^tablet .* got {"type":"FULL_SYNC".* appointments\/a0 = {"id":"a0"/,
    /^tablet .* got {"type":"CONNECTION_CONFIRMED"/,
    /^tablet .* got the ping ".+", ponged, \d+ bytes wait$/,
    /^tablet .* made "change \d+" of appointments\/a0 at \d+ appointments\/a0 = {"id":"a0"/,
    /^tablet .* sent "change \d+", \d+ bytes wait$/,
    /^tablet .* got {"type":"ACK","ack":"change \d+"}$/,
    /^batch .* posts appointments\/\w+ made at \d+/,
    /^batch .* got the answer 200 appointments\/a0 = {"id":"a0"/,
    /^the only node: a line about anna$/,
  ])
    expect(
      lines.some((line) => told.test(line)),
      `${told} in ${problem}`,
    ).toBe(true);
});
