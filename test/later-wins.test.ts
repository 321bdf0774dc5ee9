/** D3, D4: of concurrent writes to one field the later stays, whatever arrives when, after restarts too. */
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { sharedValue } from '../shared/records.js';
import { seededRandom } from './support/hostile.js';
import { jsonOfDoc } from './support/replicas.js';
import { runs } from './support/runs.js';
import { TimedDevice } from './support/timed-device.js';
import { memoryShelf, Ward } from './support/ward.js';

/** Runs of the model; more by hand: `LATER_WINS_RUNS=20000 npx vitest run test/later-wins.test.ts`. */
const RUNS = Number(process.env.LATER_WINS_RUNS ?? runs(200));
const SEED = Number(process.env.LATER_WINS_SEED ?? 1);
const STEPS = 50;

const PLACES = ['f0', 'f1', 'dose/am', 'dose/pm', 'list/m1/mg', 'list/m1/unit'] as const;
type Place = (typeof PLACES)[number];

const mapIn = (map: Y.Map<unknown>, key: string): Y.Map<unknown> => {
  const found = map.get(key);
  return found instanceof Y.Map ? found : map.set(key, new Y.Map<unknown>());
};

/** The element, made with its list where it is missing. */
function elementIn(record: Y.Map<unknown>, id: string): Y.Map<unknown> {
  const list = record.get('list');
  const array = list instanceof Y.Array ? list : record.set('list', new Y.Array<unknown>());
  const found = array.toArray().find((each) => each instanceof Y.Map && each.get('id') === id);
  if (found instanceof Y.Map) return found;
  array.push([sharedValue({ id })]);
  return array.get(array.length - 1) as Y.Map<unknown>;
}

function mapOf(records: Y.Map<unknown>, place: Place): Y.Map<unknown> {
  const record = mapIn(records, 'x');
  if (place.startsWith('dose')) return mapIn(record, 'dose');
  return place.startsWith('list') ? elementIn(record, 'm1') : record;
}

const put = (doc: Y.Doc, place: Place, value: string | undefined): void => {
  const map = mapOf(doc.getMap('appointments'), place);
  const key = place.split('/').at(-1) as string;
  if (value === undefined) map.delete(key);
  else map.set(key, value);
};

function read(doc: Y.Doc, place: Place): unknown {
  const found = place.split('/').reduce<unknown>((value, step) => {
    if (value instanceof Y.Map) return value.get(step);
    const elements = value instanceof Y.Array ? value.toArray() : [];
    return elements.find((each) => each instanceof Y.Map && each.get('id') === step);
  }, doc.getMap('appointments').get('x'));
  return found;
}

interface ModelOptions {
  /** Devices create the record apart; else all begin with it. */
  readonly apart: boolean;
  readonly removes: boolean;
}

/** Devices write, come and go; the server stops, is killed and compacts; JSON devices write between. */
async function run(seed: number, { apart, removes }: ModelOptions): Promise<void> {
  const random = seededRandom(seed);
  const below = (n: number) => Math.floor(random() * n);
  const shelf = memoryShelf();
  const ward = await Ward.open(shelf, { randomId: () => below(2 ** 32) });
  const devices = Array.from({ length: 2 + below(3) }, (_, i) => new TimedDevice(`d${i}`, below(2 ** 32)));
  if (!apart) {
    ward.write('desk', (doc) => {
      for (const place of PLACES) put(doc, place, 'at first');
    });
    for (const device of devices) device.take(ward.document);
  }
  /** By the place, what was written last: every device's clock is right, and later is later. */
  const last = new Map<Place, string | undefined>();
  const note = (place: Place, value: string | undefined) => {
    last.set(place, value);
    return value;
  };
  for (let step = 0; step < STEPS; step++) {
    ward.now += 10;
    const device = devices[below(devices.length)] as TimedDevice;
    const place = PLACES[below(PLACES.length)] as Place;
    const what = below(20);
    // What a device removed it leaves to others to write anew: whose removal it had seen then, nobody can tell.
    const isGone = removes && read(device.doc, place) === undefined;
    if (what < 8 && !isGone) {
      const isThere = removes && below(5) === 0 && read(device.doc, place) !== undefined;
      const value = isThere ? undefined : `v${step}`;
      device.write(ward.now, (doc) => put(doc, place, note(place, value)));
    } else if (what < 8) continue;
    else if (what < 12) await device.give(ward.document, 1 + below(3));
    else if (what < 15) device.take(ward.document);
    else if (what < 17) ward.write('desk', (doc) => put(doc, place, note(place, `json ${step}`)));
    else if (what === 17) ward.document.compact();
    else if (what === 18) await ward.restart();
    else {
      // Killed: all that is known to the outside is what was durable.
      await ward.document.durable();
      await ward.load();
    }
  }
  for (let round = 0; round < 2; round++) {
    for (const device of devices) {
      await device.give(ward.document);
      device.take(ward.document);
    }
  }
  for (const device of devices) expect(jsonOfDoc(device.doc)).toEqual(jsonOfDoc(ward.document.doc));
  const found = [...last.keys()].map((place) => [place, read(ward.document.doc, place)]);
  expect(found).toEqual([...last]);
  expect([ward.unexpected, ward.failures, ward.rebuilt]).toEqual([[], [], 0]);
}

async function model(options: ModelOptions, base: number): Promise<void> {
  for (let seed = base; seed < base + RUNS; seed++) {
    await run(seed, options).catch((error) => {
      throw new Error(`seed ${seed}\n${error.message}`, { cause: error });
    });
  }
}

test(
  '[D3 N9 P6] each field has what was written last to it, whatever arrived when and whoever was killed',
  () => model({ apart: false, removes: true }, SEED),
  120_000,
);

test(
  '[D4 N9 P6] the same where devices create records, objects and elements apart',
  () => model({ apart: true, removes: false }, SEED + 1_000_000),
  120_000,
);
