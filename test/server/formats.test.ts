/** Databases of released versions, opened by this one (O5). */
import { readdirSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { FORMAT } from '../../server/store/level/migrations.js';
import { answersOf, FIXTURES, optionsOf } from '../support/stored-formats.js';
import { useJson, useServer } from '../support/use.js';

const YEAR = 31_557_600_000; // ms
const names = readdirSync(FIXTURES).sort();

test('[O5] there is a database of each format, encrypted too', () => {
  const ours = Array.from({ length: FORMAT }, (_, index) => [`${index + 1}`, `${index + 1}-encrypted`]);
  expect(names).toEqual(['0-y-leveldb', ...ours.flat()]);
});

type Answers = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** An answer of today may have parts that there were none of then: of each, the parts that it had. */
const partsOf = (then: Answers, now: Answers): Answers =>
  Object.fromEntries(
    Object.entries(then).map(([path, parts]) => [
      path,
      Object.fromEntries(Object.keys(parts).map((part) => [part, now[path]?.[part]])),
    ]),
  );

/** A database is opened when it was just stored, years later, and by a clock that was set back. */
const opened = names.flatMap((name) => [0, 3, -1].map((years) => ({ name, years })));

test.each(opened)(
  '[O5] $name, $years years on: records, history and devices are as they were, and more comes behind them',
  async ({ name, years }) => {
    const time = { now: () => Date.now() + years * YEAR, uptime: () => performance.now() };
    const folder = await mkdtemp(join(tmpdir(), 'format-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const data = join(folder, 'data');
    await cp(join(FIXTURES, name, 'data'), data, { recursive: true });
    const options = { ...optionsOf(name), DATA_DIR: data };
    const answers = JSON.parse(readFileSync(join(FIXTURES, name, 'answers.json'), 'utf8'));
    const server = await useServer(options, { time });
    expect(partsOf(answers, await answersOf(server.url))).toEqual(answers);
    const tablet = await useJson(server, 'anna', 'tablet');
    tablet.update('notes', { id: 'new', text: 'of today' });
    await tablet.saved();
    await server.app.close();
    const again = await useServer(options, { time });
    const records = (await (await fetch(`${again.url}/api/sync/anna`)).json()) as { notes: { id: string }[] };
    expect(records.notes.map(({ id }) => id).sort()).toEqual(
      [...answers['sync/anna'].notes.map(({ id }: { id: string }) => id), 'new'].sort(),
    );
  },
);
