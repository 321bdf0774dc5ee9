/** What an edit costs in a large document, beside one in a small document. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as Y from 'yjs';
import { updateFrame } from './support/frames.js';
import { JsonDevice } from './support/json-device.js';
import { NativeDevice } from './support/native-device.js';
import { print, quantile, table } from './support/print.js';
import { durableServer } from './support/programs.js';
import type { Scope } from './support/scope.js';
import { buildServer, ServerProcess } from './support/server-process.js';
import type { Benchmark } from './support/types.js';

const SIZES = [1, 6, 25];
const PROMISED = 2;
/** Below this, in bytes an edit, ratios say nothing: it is the edit itself. */
const LITTLE = 8_192;

export const large: Benchmark = {
  name: 'large',
  line: `edits of one field in documents of ${SIZES.join(', ')} MB: CPU, bytes written, time until they are durable`,
  options: {
    short: '200 edits instead of 2,000',
    check: `exit code 1 where an edit of the largest costs more than ${PROMISED} times one of the smallest`,
  },
  longest: () => 240_000,
  run: async (options, scope) => {
    buildServer();
    const edits = options.has('short') ? 200 : 2_000;
    const results: Costs[] = [];
    for (const size of SIZES) results.push(await measure(size, edits, scope));
    const row = (name: string, pick: (costs: Costs) => string) => [name, ...results.map(pick)];
    print(
      table([
        ['', ...SIZES.map((size) => `${size} MB`)],
        row('CPU of an edit', ({ cpu }) => `${cpu.toFixed(2)} ms`),
        row('written for an edit', ({ written }) => `${(written / 1_000).toFixed(1)} KB`),
        row('durable, 95 %', ({ own }) => `${own.toFixed(1)} ms`),
        row('another user, 95 %', ({ other }) => `${other.toFixed(1)} ms`),
      ]),
    );
    return options.has('check') && !isBounded(results) ? 1 : 0;
  },
};

interface Costs {
  readonly cpu: number;
  readonly written: number;
  readonly own: number;
  readonly other: number;
}

function isBounded(results: readonly Costs[]): boolean {
  const [small, big] = [results[0], results.at(-1)];
  if (small === undefined || big === undefined) return false;
  const ratios = (['cpu', 'own', 'other'] as const).map((name) => big[name] / small[name]);
  return (
    ratios.every((ratio) => ratio <= PROMISED) && big.written <= Math.max(LITTLE, PROMISED * small.written)
  );
}

async function measure(megabytes: number, edits: number, scope: Scope): Promise<Costs> {
  const server = await ServerProcess.start(durableServer(await scope.folder())(null), scope);
  const device = new NativeDevice(`ws://127.0.0.1:${server.port}/yjs/large?deviceId=desk`, true);
  await device.open();
  const other = new JsonDevice(server.port, 'other', 'phone');
  await other.open();
  const doc = new Y.Doc();
  for (let part = 0; part < megabytes * 10; part++)
    await device.save(updateFrame(change(doc, () => fill(doc, part))));
  await sleep(5_000); // what a compaction that is under way takes does not belong to the edits
  const own: number[] = [];
  const others: number[] = [];
  let isOver = false;
  const ended = follow(other, others, () => isOver);
  const before = { cpu: server.cpu(), written: server.written() };
  for (let n = 0; n < edits; n++) {
    const update = change(doc, () => void doc.getMap('appointments').set('a', new Y.Map([['n', n]])));
    const began = performance.now();
    await device.save(updateFrame(update));
    own.push(performance.now() - began);
  }
  const cpu = (server.cpu() - before.cpu) / edits;
  const written = (server.written() - before.written) / edits;
  isOver = true;
  await ended;
  for (const each of [device, other]) each.close();
  await server.close();
  return { cpu, written, own: quantile(own, 0.95), other: quantile(others, 0.95) };
}

function change(doc: Y.Doc, edit: () => void): Uint8Array {
  const before = Y.encodeStateVector(doc);
  doc.transact(edit);
  return Y.encodeStateAsUpdate(doc, before);
}

/** A hundred records of a kilobyte. */
function fill(doc: Y.Doc, part: number): void {
  for (let n = 0; n < 100; n++) {
    const id = `r${part}-${n}`;
    doc.getMap('medicalRecords').set(
      id,
      new Y.Map([
        ['id', id],
        ['note', `${part}`.padEnd(950, 'n')],
      ]),
    );
  }
}

/** Another user edits all the while. */
async function follow(device: JsonDevice, times: number[], isOver: () => boolean): Promise<void> {
  for (let n = 0; !isOver(); n++) {
    const began = performance.now();
    await device.save(JSON.stringify({ id: 'a', n }));
    times.push(performance.now() - began);
    await sleep(20);
  }
}
