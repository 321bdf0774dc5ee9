/** Whose the data is: LevelDB makes files whenever it opens a database, and those of root keep its user out. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Why this process may not open it itself; null where it may. */
export async function whyNotOpen(dataDir: string): Promise<string | null> {
  if (process.geteuid?.() !== 0) return null;
  // Made anew by each open, and so of who ran the server last; the folder tells where there is no database.
  const found = await stat(join(dataDir, 'CURRENT')).catch(() => stat(dataDir).catch(() => null));
  const uid = found?.uid ?? 0;
  if (uid === 0) return null;
  return `${dataDir} belongs to the user ${uid}, who could not open what root leaves in it: run the command as that one, with sudo -u '#${uid}' before it.`;
}

export async function mustBeOwner(dataDir: string): Promise<void> {
  const reason = await whyNotOpen(dataDir);
  if (reason !== null) throw new Error(reason);
}
