import { writeSync } from 'node:fs';
import { LevelStore } from '../../server/store/level.js';
import { Author, user } from './notes.js';

/**
 * Writes for several users until it is killed, and prints `USER NUMBER` for each note that was acknowledged, and
 * `USER compacted` for each compaction: `node --import tsx kill-writer.ts FOLDER`.
 */
const USERS = ['anna', 'bert', 'carl'].map(user);
const [folder = ''] = process.argv.slice(2);
/** To the pipe at once, so that nothing acknowledged is held back when the process dies. */
const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};

async function write(store: LevelStore, name: (typeof USERS)[number], burst: number): Promise<void> {
  const author = new Author();
  const stored = await store.load(name);
  author.apply(stored.updates);
  let { revision } = stored;
  for (let i = revision; ; i += burst) {
    const commits = Array.from({ length: burst }, async (_, j) => {
      revision += 1;
      const update = author.set(`n${i + j}`, `${i + j}`);
      await store.commit(name, { update, revision, memory: Buffer.from(`${revision}`) });
      say(`${name} ${i + j}`);
    });
    const compaction = compact(store, name, author, revision, Buffer.from(`${revision}`));
    await Promise.all([...commits, compaction]);
  }
}

async function compact(
  store: LevelStore,
  name: (typeof USERS)[number],
  author: Author,
  revision: number,
  memory: Buffer,
): Promise<void> {
  await store.compact(name, { ...author.snapshot(), revision, memory });
  say(`${name} compacted`);
}

const store = await LevelStore.open({ folder });
await Promise.all(USERS.map((name, index) => write(store, name, index * 3 + 1)));
