/** Backups and restores that are killed at random moments, as processes of their own. */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as Y from 'yjs';
import { backupsIn, verify } from '../../server/backup/backup.js';
import { hasDatabase } from '../../server/store/level/folder.js';
import { LevelStore } from '../../server/store/level/level-store.js';
import type { UserId } from '../../shared/names.js';
import { command, documentsIn, NOBODY_ERASED } from '../support/backups.js';
import { Chance } from './chance.js';

interface KillRun {
  readonly seed: number;
  /** Of each: a backup, a restore into an empty folder, one that replaces a database. */
  readonly rounds: number;
}

export interface KillResult {
  readonly kills: number;
  readonly problems: readonly string[];
}

const USERS = 40;
const VALUE = 100_000;

async function fill(folder: string, chance: Chance, more: number): Promise<void> {
  const store = await LevelStore.open({ folder });
  for (let index = 0; index < USERS; index += 1) {
    const user = `user-${index}` as UserId;
    const { revision } = await store.load(user);
    const doc = new Y.Doc();
    const value = Array.from({ length: VALUE / 50 }, () => chance.below(2 ** 31).toString(36)).join('');
    doc.getMap('data').set(`record-${more}`, new Y.Map([['value', value]]));
    await store.commit(user, { update: Y.encodeStateAsUpdate(doc), revision: revision + 1 });
    store.forget(user);
  }
  await store.close();
}

/** The built program; resolves with whether it was killed. */
function program(args: readonly string[], dataDir: string, killAfter: number | null): Promise<boolean> {
  const child = spawn(process.execPath, ['packages/server/dist/server/cli/main.cjs', ...args], {
    env: { PATH: process.env.PATH ?? '', DATA_DIR: dataDir },
    stdio: 'ignore',
  });
  const timer = killAfter === null ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
  return new Promise((resolve) => {
    child.once('close', (_, signal) => {
      clearTimeout(timer);
      resolve(signal !== null);
    });
  });
}

type Documents = Awaited<ReturnType<typeof documentsIn>>;

const isSame = (one: Documents, other: Documents): boolean =>
  JSON.stringify([...one].sort()) === JSON.stringify([...other].sort());

class Kills {
  kills = 0;
  readonly problems: string[] = [];
  readonly #room: string;
  readonly #chance: Chance;
  /** How long each takes that is not killed. */
  readonly #times = new Map<string, number>();

  constructor(room: string, chance: Chance) {
    this.#room = room;
    this.#chance = chance;
  }

  async killed(name: string, args: readonly string[], dataDir: string): Promise<void> {
    const time = this.#times.get(name) ?? 0;
    // Before that, Node has hardly begun; after it, most are done.
    if (await program(args, dataDir, this.#chance.between(time / 4, (time * 3) / 4))) this.kills += 1;
  }

  async measure(name: string, args: readonly string[], dataDir: string): Promise<void> {
    const began = performance.now();
    await program(args, dataDir, null);
    this.#times.set(name, performance.now() - began);
  }

  check(isGood: boolean, what: string): void {
    if (!isGood) this.problems.push(what);
  }

  async backup(data: string, into: string): Promise<void> {
    await this.killed('backup', ['backup', into], data);
    for (const folder of await backupsIn(into).catch(() => []))
      await verify(folder).catch((error) =>
        this.check(false, `a backup that is not whole: ${error.message}`),
      );
    const { code, data: said } = await command(['backup', into], { DATA_DIR: data });
    this.check(code === 0, 'no backup after one that was killed');
    const left = (await readdir(into)).filter((name) => name.endsWith('.unfinished'));
    this.check(left.length === 0, 'something unfinished is left');
    await rm(String(said.folder), { recursive: true });
  }

  /** @param old what is replaced; null for an empty folder */
  async restore(
    backup: string,
    expected: Documents,
    old: { data: string; found: Documents } | null,
  ): Promise<void> {
    const data = join(this.#room, 'target');
    await rm(data, { recursive: true, force: true });
    if (old !== null) await cp(old.data, data, { recursive: true });
    const args = ['restore', backup, '--replace', ...NOBODY_ERASED];
    await this.killed('restore', args, data);
    // What a server would find now.
    const found = (await hasDatabase(data)) ? await documentsIn(data).catch(() => null) : null;
    const isOld = found !== null && old !== null && isSame(found, old.found);
    this.check(found === null || isOld || isSame(found, expected), 'a database that is neither of the two');
    const again = await command(args, { DATA_DIR: data });
    this.check(again.code === 0, `a restore after one that was killed: ${again.out}`);
    this.check(isSame(await documentsIn(data), expected), 'what was restored is not the backup');
  }
}

export async function runBackupKills({ seed, rounds }: KillRun): Promise<KillResult> {
  const room = await mkdtemp(join(tmpdir(), 'backup-kills-'));
  try {
    const chance = new Chance(seed);
    const runs = new Kills(room, chance);
    const [data, into, kept] = ['data', 'backups', 'kept'].map((name) => join(room, name)) as [
      string,
      string,
      string,
    ];
    await fill(data, chance, 0);
    const { data: said } = await command(['backup', kept], { DATA_DIR: data });
    const backup = String(said.folder);
    const expected = await documentsIn(data);
    await fill(data, chance, 1);
    const old = { data, found: await documentsIn(data) };
    await runs.measure('backup', ['backup', join(room, 'measured')], data);
    await runs.measure('restore', ['restore', backup, ...NOBODY_ERASED], join(room, 'restored'));
    for (let round = 0; round < rounds; round += 1) {
      await runs.backup(data, into);
      await runs.restore(backup, expected, null);
      await runs.restore(backup, expected, old);
    }
    return { kills: runs.kills, problems: runs.problems };
  } finally {
    await rm(room, { recursive: true, force: true });
  }
}
