/** Who was erased since a backup, by what tells of it: the database that is replaced, and newer backups. */
import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Erased, type Erasures, type Known, knownIn, replacedBefore } from '../store/level/restoring.js';
import { type Backup, backupsIn, rowsOf } from './backup.js';
import { type Manifest, readManifest } from './manifest.js';

export interface ErasedSince {
  readonly erasures: Erasures;
  /** The folders of what goes on from the backup, and so has every erasure until then. */
  readonly knownBy: readonly string[];
  /** False where somebody may have been erased of whom nothing tells. */
  readonly isKnown: boolean;
}

interface Source {
  readonly folder: string;
  readonly known: Known;
  readonly isBackup: boolean;
}

/** Where a database is replaced, and what it says; null where there is none. */
interface Place {
  readonly dataDir: string;
  readonly replaced: Known | null;
}

/** Also what does not go on from the backup, such as the database of a start on an empty disk, may know of erasures. */
export async function erasedSince(backup: Backup, place: Place): Promise<ErasedSince> {
  const then = await knownIn(rowsOf(backup));
  const erasures = new Map<string, Erased>();
  const knownBy: string[] = [];
  for await (const { folder, known, isBackup } of sources(backup, place)) {
    for (const [user, erased] of known.erasures) if (!erasures.has(user)) erasures.set(user, erased);
    if (!goesOn(then, known)) continue;
    knownBy.push(folder);
    if (isBackup) break;
  }
  return { erasures, knownBy, isKnown: knownBy.length > 0 || then.revisions.size === 0 };
}

/** The newest first, since a user may be erased more than once. */
async function* sources(backup: Backup, { dataDir, replaced }: Place): AsyncGenerator<Source> {
  if (replaced !== null) yield { folder: dataDir, known: replaced, isBackup: false };
  // What was there before a restore of an older backup goes on from a newer one, and the database of now from it.
  for await (const before of replacedBefore(dataDir)) yield { ...before, isBackup: false };
  for (const newer of await newerThan(backup)) {
    const known = await knownIn(rowsOf(newer)).catch(() => null); // damaged: one before it may be whole
    if (known !== null) yield { folder: newer.folder, known, isBackup: true };
  }
}

/** By its own time: a link, or another name, says nothing of it. */
async function newerThan({ folder, manifest: own }: Backup): Promise<Backup[]> {
  const all = (await backupsIn(dirname(await realpath(folder)))).map(async (other) => {
    const manifest = await readManifest(other).catch(() => null);
    return manifest === null ? [] : [{ folder: other, manifest }];
  });
  return (await Promise.all(all))
    .flat()
    .filter(({ manifest }) => timeOf(manifest) > timeOf(own))
    .sort((one, other) => timeOf(other.manifest) - timeOf(one.manifest));
}

const timeOf = ({ createdAt }: Manifest): number => Date.parse(createdAt);

/** Documents stay once they are there, those of erased users too, and their revisions only grow. */
function goesOn({ revisions: before }: Known, { revisions: later }: Known): boolean {
  return [...before].every(([user, revision]) => {
    const now = later.get(user);
    return now === null || (now !== undefined && now >= (revision ?? 0));
  });
}
