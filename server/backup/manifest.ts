/** What a backup says of itself; it is there last, so that a folder without it is none. */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SyncError } from '../errors.js';
import { syncFolder } from '../folders.js';

const FORMAT = 1;
export const MANIFEST = 'manifest.json';

const count = z.number().int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const segmentSchema = z.strictObject({
  file: z.string().regex(/^\d{6}\.rows$/),
  rows: count,
  bytes: count,
  sha256,
});

const contentSchema = z.strictObject({
  format: z.literal(FORMAT),
  /** Version of the server. */
  product: z.string(),
  createdAt: z.iso.datetime(),
  /** The master keys that open it; null where nothing is encrypted. */
  keys: z.array(z.string()).nullable(),
  users: count,
  /** A hash of all users with the revisions of their documents. */
  revisions: sha256,
  rows: count,
  bytes: count,
  segments: z.array(segmentSchema),
});

const manifestSchema = contentSchema.extend({ sha256 });

/** One file of rows. */
export type Segment = z.infer<typeof segmentSchema>;
export type ManifestContent = z.infer<typeof contentSchema>;
export type Manifest = z.infer<typeof manifestSchema>;

const hashOf = (content: ManifestContent): string =>
  createHash('sha256')
    .update(JSON.stringify(contentSchema.parse(content)))
    .digest('hex');

export const textOf = (content: ManifestContent): string =>
  `${JSON.stringify({ ...content, sha256: hashOf(content) }, null, 2)}\n`;

export const notWhole = (reason: string, cause?: unknown): SyncError =>
  new SyncError('BACKUP_FAILED', `${reason}: take another one.`, { cause });

/** Of the backup in this folder, or a sentence why there is none that can be used. */
export async function readManifest(folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, MANIFEST), 'utf8').catch((cause) => {
    throw notWhole(`${folder} is no whole backup, it has no ${MANIFEST}`, cause);
  });
  const manifest = parsed(text, folder);
  const { sha256: hash, ...content } = manifest;
  if (hashOf(content) !== hash) throw notWhole(`The backup ${folder} is damaged, in its ${MANIFEST}`);
  return manifest;
}

/** Into a database that is made of the backup, which then says of which one. */
export async function copyManifest(from: string, to: string): Promise<void> {
  await writeFile(join(to, MANIFEST), await readFile(join(from, MANIFEST)), { mode: 0o600, flush: true });
  await syncFolder(to);
}

function parsed(text: string, folder: string): Manifest {
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw notWhole(`The ${MANIFEST} of ${folder} is damaged, or of a newer version of this program`, cause);
  }
}
