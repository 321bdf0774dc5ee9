import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LevelStore } from '../../server/store/level/level-store.js';
import { Author, stateReached, user } from './notes.js';

/**
 * Fills the small disk that it is given until the store stays down, makes room, and tells what is left:
 * `node --import tsx disk-full.ts MOUNT`.
 */
const NOTE = 256 * 1024;
const BALLAST = 24 * 1024 * 1024;
const ANNA = user('anna');
const [mount = ''] = process.argv.slice(2);
const folder = join(mount, 'data');
const ballast = join(mount, 'ballast');

const causes: string[] = [];
let onSecondRetry = (): void => {};
const onRetry = (cause: unknown, delay: number): void => {
  causes.push(String(cause));
  if (delay > 100) onSecondRetry();
};

async function writeUntilRefused(store: LevelStore, saved: Map<string, unknown>): Promise<string> {
  const author = new Author();
  let { revision } = await store.load(ANNA);
  for (;;) {
    const key = `k${saved.size}-${author.doc.clientID}`;
    const value = randomBytes(NOTE / 2).toString('hex');
    revision += 1;
    try {
      await store.commit(ANNA, { update: author.set(key, value), revision });
      saved.set(key, value);
    } catch (error) {
      return (error as { code: string }).code;
    }
  }
}

/** A reopen may find a little room, as LevelDB tidies up: the disk is full when two attempts failed in a row. */
function staysDown(store: LevelStore): Promise<boolean> {
  return new Promise((resolve) => {
    onSecondRetry = () => resolve(true);
    void stateReached(store, 'ready').then(() => resolve(false));
  });
}

async function fillUp(store: LevelStore, saved: Map<string, unknown>): Promise<string> {
  let code: string;
  do code = await writeUntilRefused(store, saved);
  while (!(await staysDown(store)));
  return code;
}

async function missing(store: LevelStore, saved: Map<string, unknown>): Promise<string[]> {
  const { updates } = await store.load(ANNA);
  const author = new Author();
  author.apply(updates);
  const notes = author.doc.getMap('notes');
  return [...saved].filter(([key, value]) => notes.get(key) !== value).map(([key]) => key);
}

/**
 * With room again, LevelDB may still report a compaction that failed just before: the store then reopens once
 * more. Who is refused tries again, as any writer does.
 */
async function eventually<T>(store: LevelStore, action: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    await stateReached(store, 'ready');
    try {
      return await action();
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

async function saveNote(store: LevelStore): Promise<void> {
  const { revision } = await store.load(ANNA);
  await store.commit(ANNA, { update: new Author().set('after', 1), revision: revision + 1 });
}

await writeFile(ballast, Buffer.alloc(BALLAST));
const store = await LevelStore.open({ folder, onRetry });
const saved = new Map<string, unknown>();
const code = await fillUp(store, saved);
const stateWhenFull = store.state;
await rm(ballast);
const missingAfterReopen = await eventually(store, () => missing(store, saved));
await eventually(store, () => saveNote(store));
saved.set('after', 1);
await store.close();
const again = await LevelStore.open({ folder });
const missingAfterRestart = await missing(again, saved);
await again.close();
const result = { code, stateWhenFull, missingAfterReopen, missingAfterRestart, saved: saved.size, causes };
process.stdout.write(`${JSON.stringify(result)}\n`);
