/** What it costs to look at an update before it is applied, and how good the estimates are. */
import * as Y from 'yjs';
import { UpdateCost } from '../server/documents/intake/cost.js';
import { Replica } from '../server/documents/replica.js';
import { scanUpdate } from '../server/protocol/scan.js';
import { StructTable } from '../server/protocol/struct-table.js';
import * as hostile from '../test/hostile/updates.js';
import { admitted } from '../test/support/replicas.js';
import { print, table } from './support/print.js';
import type { Benchmark } from './support/types.js';

/** Each figure is the best of so many: everything but the work itself makes it longer. */
const TRIES = 5;
const EDITS = 3_000;

export const scan: Benchmark = {
  name: 'scan',
  line: 'MB/s of the scan, its share of a small edit, and estimates of hostile updates beside the truth',
  options: { check: 'exit code 1 below 50 MB/s, or above 10 % of a small edit' },
  longest: () => 180_000,
  run: async (options) => {
    const speed = speedOf(hostile.offlineDocument(5_000));
    const { scanned, checked, applied } = smallEdits();
    const shares = { scan: (100 * scanned) / applied, check: (100 * checked) / applied };
    print(`scan: ${speed.toFixed(0)} MB/s`);
    print(
      `small edit: ${applied.toFixed(1)} µs to apply; the scan alone ${scanned.toFixed(2)} µs (${shares.scan.toFixed(1)} %),`,
    );
    print(`scan, check and estimate together ${checked.toFixed(2)} µs (${shares.check.toFixed(1)} %)\n`);
    print(table([['update', 'bytes', 'estimated ms', 'computing ms'], ...CASES.map(estimate)]));
    return options.has('check') && (speed < 50 || shares.scan > 10) ? 1 : 0;
  },
};

const cpu = (): number => process.cpuUsage().user / 1_000;
const best = (run: () => number): number => Math.min(...Array.from({ length: TRIES }, run));
const notes = { table: new StructTable(), deletion: () => {} };

function speedOf(update: Uint8Array): number {
  const ms = best(() => {
    const began = cpu();
    for (let i = 0; i < 20; i++) scanUpdate(update, { maxDepth: 64 }, notes);
    return (cpu() - began) / 20;
  });
  return update.length / 1e3 / ms;
}

const replica = (updates: readonly Uint8Array[] = []): Replica =>
  new Replica(
    { updates: [...updates], memory: null },
    { ids: () => ({ writes: 1, unions: 2 }), now: () => 0, maxDepth: 64, keepFor: 86_400_000 },
  );

/** Microseconds of one edit of a field, in a document of 300 records. */
function smallEdits(): Costs {
  const base = hostile.offlineDocument(300);
  const author = new Y.Doc();
  Y.applyUpdate(author, base);
  const edits: Uint8Array[] = [];
  author.on('update', (update: Uint8Array) => edits.push(update));
  for (let i = 0; i < EDITS; i++) {
    (author.getMap('appointments').get(`a${i % 300}`) as Y.Map<unknown>).set('status', `changed ${i}`);
  }
  const rounds = Array.from({ length: TRIES }, () => round(base, edits));
  const least = (part: keyof Costs) => Math.min(...rounds.map((costs) => costs[part]));
  return { scanned: least('scanned'), checked: least('checked'), applied: least('applied') };
}

interface Costs {
  scanned: number;
  checked: number;
  applied: number;
}

/** Each edit is scanned, checked and applied in turn, as the server does it. */
function round(base: Uint8Array, edits: readonly Uint8Array[]): Costs {
  const server = replica([base]);
  server.images.complete();
  const costs: Costs = { scanned: 0, checked: 0, applied: 0 };
  const timed = (part: keyof Costs, act: () => void) => {
    const began = performance.now();
    act();
    costs[part] += ((performance.now() - began) * 1_000) / EDITS;
  };
  for (const edit of edits) {
    timed('scanned', () => scanUpdate(edit, { maxDepth: 64 }, notes));
    timed('checked', () => server.check(edit));
    const checked = admitted(server, edit);
    timed('applied', () => server.apply(checked, { saw: null }));
  }
  return costs;
}

type Case = readonly [name: string, update: Uint8Array, setup?: Uint8Array];

const CASES: readonly Case[] = [
  ['100 records', hostile.offlineDocument(100)],
  ['1,000 records', hostile.offlineDocument(1_000)],
  ['20,000 structs', hostile.manyStructs(20_000)],
  ['1,000 clients, one key', hostile.manyClientsOneKey(1_000)],
  ['300 maps created apart', hostile.manyMapsOneKey(300)],
  ['4,000 to be joined', hostile.mergeable(4_000)],
  ['array of 1,000,000', hostile.largeArray(1e6)],
  ['100 deletions in 200,000', hostile.scatteredDeletions(100, 2e5), hostile.largeArray(2e5)],
  ['100 splits of 200,000', hostile.splitBomb(100, 2e5), hostile.largeArray(2e5)],
  ['1,000 at one place', hostile.manyClientsOnePlace(1_000), hostile.largeArray(10)],
  ['500,000 values', hostile.manyValues(5e5)],
];

function estimate([name, update, setup]: Case): string[] {
  const cost = new UpdateCost(new Y.Doc(), new StructTable());
  let estimated = cost.ms;
  const { judge } = UpdateCost.prototype;
  UpdateCost.prototype.judge = function judged(...args) {
    const verdict = judge.apply(this, args);
    estimated = this.ms;
    return verdict;
  };
  const took = best(() => {
    const server = replica(setup === undefined ? [] : [setup]);
    server.images.complete();
    const checked = admitted(server, update);
    const began = cpu();
    server.apply(checked, { saw: null });
    return cpu() - began;
  });
  UpdateCost.prototype.judge = judge;
  return [name, `${update.length}`, estimated.toFixed(1), took.toFixed(1)];
}
