/** Scenes of JSON devices told as tables: who does what, and how much time goes by then. */
import { expect } from 'vitest';
import type * as Y from 'yjs';
import type { Json, JsonRecord } from '../../shared/json.js';
import type { ServerMessage } from './devices/json-words.js';
import { type App, type AppOptions, HOUR, MINUTE, Practice, VISITS } from './json-apps.js';

export const VISIT: JsonRecord = {
  id: 'v1',
  at: '09:00',
  room: 1,
  status: 'booked',
  urgent: false,
  tags: ['a', 'b'],
};

/** How a server may end. */
export const ENDS = ['stopped', 'killed'] as const;

export const visitMap = (doc: Y.Doc) => doc.getMap(VISITS).get('v1') as Y.Map<unknown>;

export interface Scene {
  readonly practice: Practice;
  readonly phone: App;
  readonly desk: App;
}

export type Step = (scene: Scene) => unknown;

/** A step, and so many ms go by after it; whatever it led to is durable then. */
export type Row = Step | readonly [step: Step, ms: number];

export type Table = readonly Row[];

/** A desk that wrote a visit, and a phone that has read it; both have been connected for a while. */
export async function scene(options: AppOptions = {}, visit: JsonRecord = VISIT): Promise<Scene> {
  const practice = await Practice.open();
  const desk = await practice.connected('desk');
  const phone = await practice.connected('phone', options);
  desk.write(visit);
  await practice.catchUp();
  await practice.pass(MINUTE);
  // Its clock is known, and its app knows the fields.
  phone.write({ ...visit, id: 'other' });
  await practice.catchUp();
  await practice.pass(MINUTE);
  return { practice, phone, desk };
}

/** A desk has written a visit an hour ago; the phone has never been there. */
export async function unmet(options: AppOptions = {}): Promise<Scene> {
  const practice = await Practice.open();
  const desk = await practice.connected('desk');
  desk.write(VISIT);
  await practice.pass(HOUR);
  return { practice, phone: practice.app('phone', options), desk };
}

/** Plays a table; at its end everybody reads everything, and each has what the server has. */
export async function play(table: Table, begins: Promise<Scene> = scene()): Promise<void> {
  const all = await begins;
  for (const row of table) {
    const [step, ms] = typeof row === 'function' ? [row, null] : row;
    await step(all);
    if (ms !== null) await all.practice.pass(ms);
  }
  await converges(all);
}

/** The same table as many times as there are values. */
export const forEach = <Value>(values: readonly Value[], table: (value: Value) => Table): Table =>
  values.flatMap(table);

export const when = (isSo: boolean, ...table: Table): Table => (isSo ? table : []);

export async function converges({ practice, phone, desk }: Scene): Promise<void> {
  await practice.catchUp();
  const records = practice.records();
  for (const app of [phone, desk]) expect(app.copy[VISITS] ?? {}).toEqual(records[VISITS] ?? {});
}

export const REPLAYS = ['before the pong', 'after the pong'] as const;
export type Replay = (typeof REPLAYS)[number];

type Fields = Record<string, Json | undefined>;

function actor(who: 'phone' | 'desk') {
  const does =
    (what: (app: App) => unknown): Step =>
    (all) =>
      what(all[who]);
  /** Connects and sends its queue; `keep`: it does not know that it did. */
  const replays = (replay: Replay = 'after the pong', keep?: 'keep'): Step =>
    does(async (app) => {
      app.connect();
      if (replay === 'after the pong') await app.catchUp();
      else await app.readAll();
      await app.replay(keep);
    });
  return {
    edits: (fields: Fields, id = 'v1') => does((app) => app.edit(id, fields)),
    writes: (record: JsonRecord) => does((app) => app.write(record)),
    removes: (id = 'v1') => does((app) => app.remove(id)),
    asksForAll: does((app) => app.requestSync()),
    connects: does((app) => app.connect()),
    loses: does((app) => app.lose()),
    /** Its socket answers pings; the app reads nothing. */
    pongs: does((app) => app.pong()),
    answersPings: (answers: boolean) =>
      does((app) => {
        app.answersPings = answers;
      }),
    readsAll: does((app) => app.readAll()),
    /** It reads everything, its socket answers every ping. */
    catchesUp: does((app) => app.catchUp()),
    readsNext: (type: ServerMessage['type']) =>
      does(async (app) => expect((await app.readNext())?.type).toBe(type)),
    replays,
    /** As `replays`, and it reads what comes of it. */
    comesBack:
      (replay?: Replay, keep?: 'keep'): Step =>
      async (all) => {
        await replays(replay, keep)(all);
        await all[who].catchUp();
      },
    /** It has this in its copy of the visit. */
    has: (fields: Fields) => does((app) => expect(app.record('v1')).toMatchObject(fields)),
  };
}

export const phone = actor('phone');
export const desk = actor('desk');

export const everybodyReads: Step = ({ practice }) => practice.catchUp();
export const restarts =
  (how: 'stopped' | 'killed'): Step =>
  ({ practice }) =>
    practice.restart(how);
export const native =
  (edit: (doc: Y.Doc) => void): Step =>
  ({ practice }) =>
    practice.native(edit);

/** The server has this record. */
export const recordIs =
  (id: string, record: JsonRecord | null): Step =>
  ({ practice }) =>
    expect(practice.record(id)).toEqual(record);

/** The server has the visit as it was at first, but for these fields. */
export const visitIs = (changed: Fields = {}): Step => recordIs('v1', { ...VISIT, ...changed } as JsonRecord);
export const visitIsGone: Step = recordIs('v1', null);

/** The visit has these values, whatever else is in it. */
export const visitHas =
  (fields: Fields, why?: string): Step =>
  ({ practice }) =>
    expect(practice.record('v1'), why).toMatchObject(fields);

/** Nobody does anything. */
export const nothing: Step = () => {};

/** Both are there again after a restart. */
export const bothConnect: Table = [phone.connects, phone.catchesUp, desk.connects, desk.catchesUp];
