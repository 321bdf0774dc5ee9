/**
 * Writes `test/formats/NAME`: a database as this version stores it, and what a server answers of it. Run once for each
 * released format: `npx tsx scripts/format-fixture.ts 2`, and `2-encrypted`. What is there stays as it is.
 */
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LeveldbPersistence } from 'y-leveldb';
import * as Y from 'yjs';
import { JsonDevice } from '../test/support/devices/json-device.js';
import { NativeDevice } from '../test/support/devices/native-device.js';
import { startServer, type TestServer } from '../test/support/server.js';
import { answersOf, FIXTURES, optionsOf } from '../test/support/stored-formats.js';

/** Edits of both kinds of devices, deletions, texts, a shared collection, and somebody who was erased. */
async function live(server: TestServer): Promise<void> {
  const phone = await NativeDevice.connect(server.url, 'anna', 'phone');
  const tablet = await JsonDevice.connect(server.url, 'anna', 'tablet');
  phone.record('appointments', 'a1').set('room', 4);
  phone.record('appointments', 'a1').set('status', 'booked');
  await phone.saved();
  await tablet.until(() => tablet.store.appointments?.a1?.status === 'booked');
  tablet.update('appointments', { id: 'a1', room: 4, status: 'arrived' });
  tablet.update('notes', { id: 'n1', text: 'Grüße, 漢字 🩺', list: [{ id: 'x', n: 1 }, 2, null, true] });
  tablet.update('notes', { id: 'n2', text: 'gone' });
  await tablet.saved();
  tablet.delete('notes', 'n2');
  tablet.update('doctors', { id: 'd1', name: 'Dr. Roe' });
  await tablet.saved();
  for (let i = 0; i < 6; i++) phone.record('appointments', 'a2').set('count', i);
  await phone.saved();
  phone.provider.destroy();
  await tablet.close();
  const gone = await JsonDevice.connect(server.url, 'bert', 'phone');
  gone.update('notes', { id: 'n1', text: 'erased' });
  await gone.saved();
  await gone.close();
  await fetch(`${server.url}/admin/users/bert`, { method: 'DELETE' });
}

async function writeOurs(name: string, data: string): Promise<void> {
  const server = await startServer({ ...optionsOf(name), DATA_DIR: data });
  try {
    await live(server);
  } finally {
    await server.app.close();
  }
}

/** As y-leveldb 0.2 stores a document, which has no history and no devices. */
async function writeYLevelDb(data: string): Promise<void> {
  const db = new LeveldbPersistence(data);
  const doc = new Y.Doc();
  const notes = doc.getMap('notes');
  for (let i = 0; i < 5; i++) {
    const before = Y.encodeStateVector(doc);
    notes.set(
      `n${i}`,
      new Y.Map<unknown>([
        ['id', `n${i}`],
        ['text', new Y.Text(`note ${i}`)],
      ]),
    );
    await db.storeUpdate('anna', Y.encodeStateAsUpdate(doc, before));
  }
  await db.destroy();
}

/** Of a copy: what a server opens is no longer as it was. */
async function askCopy(name: string, data: string): Promise<object> {
  const copy = `${data}-copy`;
  await cp(data, copy, { recursive: true });
  const server = await startServer({ ...optionsOf(name), DATA_DIR: copy });
  try {
    return await answersOf(server.url);
  } finally {
    await server.app.close();
  }
}

const name = process.argv[2] ?? '';
const target = join(FIXTURES, name);
if (name === '' || existsSync(target)) throw new Error(`Name a format that is not in ${FIXTURES} yet.`);
const work = await mkdtemp(join(tmpdir(), 'format-'));
const data = join(work, 'data');
await (name === '0-y-leveldb' ? writeYLevelDb(data) : writeOurs(name, data));
const answers = await askCopy(name, data);
await mkdir(target, { recursive: true });
await cp(data, join(target, 'data'), { recursive: true });
for (const file of await readdir(join(target, 'data')))
  if (/^(LOCK|LOG|LOG\.old)$/.test(file)) await rm(join(target, 'data', file));
await writeFile(join(target, 'answers.json'), `${JSON.stringify(answers, null, 2)}\n`);
await rm(work, { recursive: true, force: true });
process.stdout.write(`${target}\n`);
process.exit();
