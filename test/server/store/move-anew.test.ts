/** Who goes on with a store that a move has begun with, or has ended with (063). */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { run } from '../../../server/cli/commands.js';
import * as format from '../../../server/store/format.js';
import { LevelStore } from '../../../server/store/level/level-store.js';
import { MOVED_TO } from '../../../server/store/level/moved-to.js';
import { levelTarget } from '../../../server/store/move/level-side.js';
import { move } from '../../../server/store/move/move.js';
import { postgresSource } from '../../../server/store/move/postgres-side.js';
import { editDatabase } from '../../support/level-fixture.js';
import { Author, notesOf, user } from '../../support/notes.js';
import { PostgresFixture, postgresUrl } from '../../support/postgres.js';
import { findInFiles } from '../../support/raw-files.js';
import { inTime } from '../../support/wait.js';

const ANNA = user('anna');
const BERT = user('bert');
/** Nobody beats by itself. */
const HOW = { beat: 3_600_000, patience: { slow: 200, timeout: 600 } };
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

/** No text of which is in another, nor in a key: where LevelDB compresses, it stands there as it is. */
const TEXTS: ReadonlyMap<string, string> = new Map([
  [ANNA, 'quince-1'],
  [BERT, 'medlar-2'],
]);

async function writeBoth(): Promise<void> {
  const store = await postgres.open();
  for (const name of [ANNA, BERT]) {
    await store.load(name);
    await store.commit(name, { update: new Author().set('note', TEXTS.get(name)), revision: 1 });
  }
  await store.close();
}

describe.skipIf(postgresUrl() === '')('a store that is moved', () => {
  test('[P7] who is erased at the source after a move was cut off leaves no byte of hers in the folder', async () => {
    await writeBoth();
    const data = join(folder, 'data');
    await cutOffBehindTheFirstPass(postgres.schema.url, data);
    expect(await findInFiles(data, ['quince-1'])).not.toEqual([]);
    const store = await postgres.open();
    await store.load(ANNA);
    await store.erase(ANNA, Buffer.from('tombstone'));
    await store.close();
    await moved(postgres.schema.url, data);
    const there = await LevelStore.open({ folder: data });
    expect(notesOf(await there.load(BERT))).toEqual({ note: 'medlar-2' });
    expect(Buffer.from((await there.load(ANNA)).tombstone ?? []).toString()).toBe('tombstone');
    await there.close();
    expect(await findInFiles(data, ['quince-1'])).toEqual([]);
  });

  test('[P7] whose data only changed meanwhile is not marked as erased, so that the first start is quick', async () => {
    await writeBoth();
    const data = join(folder, 'data');
    await cutOffBehindTheFirstPass(postgres.schema.url, data);
    const store = await postgres.open();
    const { revision } = await store.load(BERT);
    await store.commit(BERT, { update: new Author().set('late', 1), revision: revision + 1 });
    await store.close();
    await moved(postgres.schema.url, data);
    const marks: string[] = [];
    await editDatabase(data, async (db) => {
      for await (const key of db.keys(format.ERASING)) marks.push(Buffer.from(key).toString());
    });
    expect(marks).toEqual([]);
  });

  test('[P1] a move that is cut off at its very end leaves both closed to servers, and goes on', async () => {
    await writeBoth();
    const data = join(folder, 'data');
    const source = await postgresSource(postgres.schema.url);
    const target = await levelTarget(data, NOBODY);
    target.complete = () => Promise.reject(new Error('cut off'));
    await expect(move(source, target, () => {})).rejects.toThrow('cut off');
    await Promise.all([target.close(), source.close()]);
    await expect(postgres.open()).rejects.toThrow(/was moved to/);
    await expect(LevelStore.open({ folder: data })).rejects.toThrow();
    await moved(postgres.schema.url, data);
    const there = await LevelStore.open({ folder: data });
    expect(notesOf(await there.load(ANNA))).toEqual({ note: 'quince-1' });
    await there.close();
  });

  test('[P1] a node that hung while all was moved away saves nothing there afterwards, and starts no more', async () => {
    await writeBoth();
    const hanging = await postgres.open(HOW);
    onTestFinished(() => hanging.close());
    const { revision } = await hanging.load(ANNA);
    await silence();
    const data = join(folder, 'data');
    await moved(postgres.schema.url, data);
    const late = hanging.commit(ANNA, { update: new Author().set('late', 1), revision: revision + 1 });
    await expect(late).rejects.toMatchObject({ code: 'NOT_SAVED' });
    await expect(hanging.load(BERT)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect(postgres.open()).rejects.toThrow(/was moved to .*data, and may be out of date: start the/);
    await moved(postgres.schema.url, data);
    await moved(data, postgres.schema.url); // the same is there, so it may be had again
    await (await postgres.open()).close();
  });

  test('[P1] a folder that was moved away is served by nobody, until the same is moved back, or a person says so', async () => {
    await writeBoth();
    const data = join(folder, 'data');
    await moved(postgres.schema.url, data);
    await (await LevelStore.open({ folder: data })).close();
    const other = await PostgresFixture.create();
    onTestFinished(() => other.remove());
    await moved(data, other.schema.url);
    const opened = () => LevelStore.open({ folder: data });
    await expect(opened()).rejects.toThrow(
      /data was moved to postgres:.*may be out of date: start the server/,
    );
    await moved(data, other.schema.url); // as a run that was cut off at its very end
    await expect(opened()).rejects.toThrow(/was moved to/);
    await moved(other.schema.url, data);
    await (await opened()).close();
    await moved(data, other.schema.url);
    const refusal = await opened().catch(String);
    await rm(/remove (\S+)\.$/.exec(String(refusal))?.[1] ?? '');
    const store = await opened();
    expect(notesOf(await store.load(ANNA))).toEqual({ note: 'quince-1' });
    await store.close();
  });

  test('[P7] what was moved away goes nowhere else from here: it may be out of date, and who was erased be in it', async () => {
    await writeBoth();
    const [data, elsewhere] = [join(folder, 'data'), join(folder, 'elsewhere')];
    await moved(postgres.schema.url, data);
    const again = (from: string) => run(['move', '--from', from, '--to', elsewhere, '--json'], {});
    expect(await again(postgres.schema.url)).toMatchObject({
      code: 1,
      out: expect.stringMatching(/was moved to .*data, and may be out of date/),
    });
    const other = await PostgresFixture.create();
    onTestFinished(() => other.remove());
    await moved(data, other.schema.url);
    expect(await again(data)).toMatchObject({
      code: 1,
      out: expect.stringMatching(/data was moved to postgres:.*may be out of date/),
    });
    await moved(data, other.schema.url);
    await moved(other.schema.url, elsewhere);
  });

  test('[P11] a backup is served where of a database that was moved away only the mark is left', async () => {
    await writeBoth();
    const [data, backups] = [join(folder, 'data'), join(folder, 'backups')];
    await moved(postgres.schema.url, data);
    expect(await run(['backup', backups], { DATA_DIR: data })).toMatchObject({ code: 0 });
    await moved(data, postgres.schema.url);
    for (const name of await readdir(data))
      if (name !== MOVED_TO) await rm(join(data, name), { recursive: true });
    const [name = ''] = await readdir(backups);
    await writeFile(join(folder, 'nobody'), '');
    const args = ['restore', join(backups, name), '--erased', join(folder, 'nobody')];
    expect(await run(args, { DATA_DIR: data })).toMatchObject({ code: 0 });
    await (await LevelStore.open({ folder: data })).close();
  });

  test('[P11] a backup that takes the place of a database that was moved away is served', async () => {
    await writeBoth();
    const [data, backups] = [join(folder, 'data'), join(folder, 'backups')];
    await moved(postgres.schema.url, data);
    expect(await run(['backup', backups], { DATA_DIR: data })).toMatchObject({ code: 0 });
    await moved(data, postgres.schema.url);
    const [name = ''] = await readdir(backups);
    expect(await run(['restore', join(backups, name), '--replace'], { DATA_DIR: data })).toMatchObject({
      code: 0,
    });
    await (await LevelStore.open({ folder: data })).close();
  });

  test('[P1] a node that hung takes nobody while something is moved in', async () => {
    await writeBoth();
    const data = join(folder, 'data');
    await moved(postgres.schema.url, data);
    const other = await PostgresFixture.create();
    onTestFinished(() => other.remove());
    const hanging = await other.open(HOW);
    onTestFinished(() => hanging.close());
    await silence(other);
    await moved(data, other.schema.url);
    await expect(hanging.load(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  test.each([
    ['moving', /is under way or was cut off/],
    ['moved', /may be out of date/],
  ])(
    '[P1] a start that a move held up until its end looks for the note %s once more',
    async (name, sentence) => {
      await (await postgres.open()).close();
      const mover = new pg.Client({ connectionString: postgres.schema.ownUrl });
      await mover.connect();
      onTestFinished(() => mover.end());
      // Of another mode than a move's own lock, so that the start does not see it when it first looks.
      await mover.query('BEGIN; LOCK TABLE node IN SHARE MODE');
      const opened = postgres.open();
      const refused = expect(opened).rejects.toThrow(sentence);
      await inTime(someoneWaits(), () => 'the start');
      const value = format.seal(Buffer.from('/srv/elsewhere'), format.noteKey(name));
      await mover.query('INSERT INTO note (name, value) VALUES ($1, $2)', [name, value]);
      await mover.query('COMMIT');
      await refused;
      const { rows } = await postgres.schema.query('SELECT id FROM node WHERE NOT fenced');
      expect(rows).toEqual([]);
    },
  );
});

const silence = ({ schema } = postgres): Promise<unknown> =>
  schema.query(`UPDATE node SET beat = beat - interval '1 minute'`);

async function someoneWaits(): Promise<void> {
  const waits = 'SELECT FROM pg_locks WHERE relation = $1::regclass AND NOT granted';
  for (;;) if ((await postgres.schema.query(waits, ['node'])).rows.length > 0) return;
}

async function cutOffBehindTheFirstPass(from: string, to: string): Promise<void> {
  const source = await postgresSource(from);
  const target = await levelTarget(to, NOBODY);
  const cutOff = move(source, target, (doing) => {
    if (doing === 'compared') throw new Error('cut off');
  });
  await expect(cutOff).rejects.toThrow('cut off');
  await Promise.all([target.close(), source.close()]);
}
