/** Who goes on with a store that a move has begun with, or has ended with (063). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { run } from '../../../server/cli/commands.js';
import { LevelStore } from '../../../server/store/level/level-store.js';
import { levelTarget } from '../../../server/store/move/level-side.js';
import { move } from '../../../server/store/move/move.js';
import { postgresSource } from '../../../server/store/move/postgres-side.js';
import { Author, notesOf, user } from '../../support/notes.js';
import { PostgresFixture, postgresUrl } from '../../support/postgres.js';
import { findInFiles } from '../../support/raw-files.js';

const ANNA = user('anna');
const BERT = user('bert');
const NOBODY = { name: 'nowhere', lines: async () => [], add: async () => {} };

let folder: string;
let postgres: PostgresFixture;
beforeEach(async () => {
  if (postgresUrl() === '') return;
  folder = await mkdtemp(join(tmpdir(), 'move-anew-'));
  postgres = await PostgresFixture.create();
  onTestFinished(async () => {
    await postgres.remove();
    await rm(folder, { recursive: true, force: true });
  });
});

async function moved(from: string, to: string): Promise<void> {
  const ending = await run(['move', '--from', from, '--to', to, '--json'], {});
  expect(ending).toMatchObject({ code: 0 });
}

async function writeBoth(): Promise<void> {
  const store = await postgres.open();
  for (const name of [ANNA, BERT]) {
    await store.load(name);
    await store.commit(name, {
      update: new Author().set('note', `secret of ${name}`),
      revision: 1,
      history: [Buffer.from(`entry of ${name}`)],
    });
  }
  await store.close();
}

describe.skipIf(postgresUrl() === '')('a store that is moved', () => {
  test('[P7] who is erased at the source after a move was cut off leaves no byte in the folder of the next one', async () => {
    await writeBoth();
    const data = join(folder, 'data');
    await cutOffBehindTheFirstPass(postgres.schema.url, data);
    expect(await findInFiles(data, ['secret of anna'])).not.toEqual([]);
    const store = await postgres.open();
    await store.load(ANNA);
    await store.erase(ANNA, Buffer.from('tombstone'));
    await store.close();
    await moved(postgres.schema.url, data);
    const there = await LevelStore.open({ folder: data });
    expect(notesOf(await there.load(BERT))).toEqual({ note: 'secret of bert' });
    expect((await there.load(ANNA)).tombstone).toEqual(Buffer.from('tombstone'));
    await there.close();
    expect(await findInFiles(data, ['secret of anna', 'entry of anna'])).toEqual([]);
  });
});

async function cutOffBehindTheFirstPass(from: string, to: string): Promise<void> {
  const source = await postgresSource(from);
  const target = await levelTarget(to, NOBODY);
  const cutOff = move(source, target, (doing) => {
    if (doing === 'compared') throw new Error('cut off');
  });
  await expect(cutOff).rejects.toThrow('cut off');
  await Promise.all([target.close(), source.close()]);
}
