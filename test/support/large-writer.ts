import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { LevelStore } from '../../server/store/level/level-store.js';
import { Author, user } from './notes.js';

/**
 * Writes notes of a megabyte until it is killed, and prints the number of each that was acknowledged. LevelDB goes on
 * to new logs, and takes its time to write the old ones into tables, as nothing in them can be compressed:
 * `node --import tsx large-writer.ts FOLDER`.
 */
const ANNA = user('anna');
const [folder = ''] = process.argv.slice(2);
const store = await LevelStore.open({ folder });
let { revision } = await store.load(ANNA);
for (;;) {
  revision += 1;
  const update = new Author().set('note', randomBytes(750_000).toString('base64'));
  await store.commit(ANNA, { update, revision });
  writeSync(1, `${revision}\n`);
}
