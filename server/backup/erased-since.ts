/** Who was erased since a backup, by what tells of it: the database that is replaced, and newer backups. */
import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Erased, type Erasures, type Known, knownIn } from '../store/level/restoring.js';
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
}

/** Also what does not go on from the backup, such as the database of a start on an empty disk, may know of erasures. */
export async function erasedSince(backup: Backup, replaced: Source | null): Promise<ErasedSince> {
  const then = await knownIn(rowsOf(backup));
  const erasures = new Map<string, Erased>();
  const knownBy: string[] = [];
  for await (const { folder, known } of sources(backup, replaced)) {
    for (const [user, erased] of known.erasures) if (!erasures.has(user)) erasures.set(user, erased);
    if (!goesOn(then, known)) continue;
    knownBy.push(folder);
    if (folder !== replaced?.folder) break;
  }
  return { erasures, knownBy, isKnown: knownBy.length > 0 || then.revisions.size === 0 };
}

/** The newest first, since a user may be erased more than once. */
async function* sources(backup: Backup, replaced: Source | null): AsyncGenerator<Source> {
  if (replaced !== null) yield replaced;
  for (const newer of await newerThan(backup)) {
    const known = await knownIn(rowsOf(newer)).catch(() => null); // damaged: one before it may be whole
    if (known !== null) yield { folder: newer.folder, known };
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
