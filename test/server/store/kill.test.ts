import { afterEach, expect, it } from 'vitest';
import { historyRange } from '../../../server/store/format.js';
import type { LevelStore } from '../../../server/store/level/level-store.js';
import type { StoredDocument } from '../../../server/store/store.js';
import type { UserId } from '../../../shared/names.js';
import { ended, onLine, startProgram } from '../../support/child.js';
import { databaseOf, LevelFixture } from '../../support/level-fixture.js';
import { entriesOf, notesOf, text, user } from '../../support/notes.js';

const ROUNDS = 5;
let fixture: LevelFixture | null = null;
afterEach(() => fixture?.remove());

interface Round {
  /** Per user the numbers that were acknowledged. */
  readonly acknowledged: Map<string, number[]>;
  readonly compactions: number;
}

/** Kills the writer at a random moment after `lines` acknowledgements. */
async function writeAndKill(folder: string, lines: number): Promise<Round> {
  const acknowledged = new Map<string, number[]>();
  let compactions = 0;
  let seen = 0;
  const child = startProgram('kill-writer.ts', [folder]);
  onLine(child, (line) => {
    const [name = '', number = ''] = line.split(' ');
    if (number === 'compacted') compactions += 1;
    else acknowledged.set(name, [...(acknowledged.get(name) ?? []), Number(number)]);
    seen += 1;
    if (seen === lines) setTimeout(() => child.kill('SIGKILL'), Math.random() * 5);
  });
  const end = await ended(child);
  expect(end, end.errors).toMatchObject({ signal: 'SIGKILL' });
  return { acknowledged, compactions };
}

/** Each revision has its entry, no other one is stored, and the rest is that of the same moment. */
async function checkHistory(store: LevelStore, name: UserId, stored: StoredDocument): Promise<void> {
  const { revision, historyFrom, devices } = stored;
  const wanted = Array.from({ length: revision - historyFrom }, (_, i) => `${name} ${revision - i}`);
  const range = { below: Number.POSITIVE_INFINITY, limit: Number.POSITIVE_INFINITY };
  expect(entriesOf(await store.history(name, range))).toEqual(wanted);
  expect(await databaseOf(store).keys(historyRange(name)).all()).toHaveLength(wanted.length);
  expect([...devices.values()].map(text)).toEqual([`${revision}`]);
  const [deletion] = await store.deletions(name);
  expect(deletion?.revision ?? 0).toBe(historyFrom);
}

it('[P2] [P4] [P6] [H5] [H7] a process killed at random moments loses nothing that it acknowledged', async () => {
  fixture = await LevelFixture.create();
  const expected = new Map<string, number>();
  let compactions = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const lines = 20 + Math.floor(Math.random() * 400);
    const result = await writeAndKill(fixture.folder, lines);
    compactions += result.compactions;
    for (const [name, numbers] of result.acknowledged) expected.set(name, Math.max(...numbers) + 1);
    const store = await fixture.open();
    for (const [name, count] of expected) {
      const stored = await store.load(user(name));
      const notes = notesOf(stored);
      const wanted = Array.from({ length: count }, (_, i) => `n${i}`);
      expect(
        wanted.filter((key) => !(key in notes)),
        `round ${round}, ${name}`,
      ).toEqual([]);
      expect(Object.keys(notes), 'each change is there whole').toHaveLength(stored.revision);
      expect(Buffer.from(stored.memory ?? []).toString()).toBe(`${stored.revision}`);
      await checkHistory(store, user(name), stored);
    }
    await store.close();
  }
  expect(compactions).toBeGreaterThan(0);
}, 60_000);
