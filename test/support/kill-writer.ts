import { LevelStore } from '../../server/store/level/level-store.js';
import type { DeviceId } from '../../shared/names.js';
import { Author, entry, user } from './notes.js';

/**
 * Writes for several users until it is killed, and prints `USER NUMBER` for each note that was acknowledged, and
 * `USER compacted` for each compaction: `node --import tsx kill-writer.ts FOLDER`.
 */
const USERS = ['anna', 'bert', 'carl'].map(user);
const DEVICE = 'phone' as DeviceId;
const KEPT = 10;
const [folder = ''] = process.argv.slice(2);
/** Resolves once it is in the pipe, so that nothing acknowledged is held back when the process dies. */
const say = (line: string): Promise<unknown> =>
  new Promise((done) => process.stdout.write(`${line}\n`, done));

async function write(store: LevelStore, name: (typeof USERS)[number], burst: number): Promise<void> {
  const author = new Author();
  const stored = await store.load(name);
  author.apply(stored.updates);
  let { revision } = stored;
  for (let i = revision; ; i += burst) {
    const commits = Array.from({ length: burst }, async (_, j) => {
      revision += 1;
      const update = author.set(`n${i + j}`, `${i + j}`);
      const bytes = Buffer.from(`${revision}`);
      const devices = new Map([[DEVICE, bytes]]);
      await store.commit(name, {
        update,
        revision,
        memory: bytes,
        history: [entry(name, revision)],
        devices,
      });
      await say(`${name} ${i + j}`);
    });
    const compaction = compact(store, name, author, revision, Buffer.from(`${revision}`));
    const pruning = prune(store, name, revision - KEPT);
    await Promise.all([...commits, compaction, pruning]);
  }
}

async function prune(store: LevelStore, name: (typeof USERS)[number], upTo: number): Promise<void> {
  if (upTo > 0) await store.prune(name, upTo, [{ collection: 'notes', id: 'n', revision: upTo, at: upTo }]);
}

async function compact(
  store: LevelStore,
  name: (typeof USERS)[number],
  author: Author,
  revision: number,
  memory: Buffer,
): Promise<void> {
  await store.compact(name, { ...author.snapshot(), revision, memory });
  await say(`${name} compacted`);
}

const store = await LevelStore.open({ folder });
await Promise.all(USERS.map((name, index) => write(store, name, index * 3 + 1)));
