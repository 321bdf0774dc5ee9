/** What the tag of an answer says: which state of the documents it shows, and which one a device has (H1). */
import type { Request } from 'express';
import { markOf } from '../../documents/epochs/epoch.js';
import type { UserDocument } from '../../documents/user-document.js';

/** A document in memory or asleep. */
type Tagged = Pick<UserDocument, 'revision' | 'stateVector' | 'epoch' | 'erased'>;

/**
 * The revision, and a mark of the content: after a restored backup, the same revision can stand for another one.
 *
 * @param revision that of what is shown, which may be behind the document
 */
export const tagPartOf = (
  document: Pick<Tagged, 'revision' | 'stateVector'>,
  revision = document.revision,
): string => partOf(revision, markOf(document.stateVector()));

const partOf = (revision: number, mark: number): string => `${revision}.${mark.toString(36)}`;

/** Of the user's document, and of the shared one where there is one (D8). */
export const etagOf = (own: string, shared: string | null): string =>
  shared === null ? `"${own}"` : `"${own}-${shared}"`;

/** The tags that a request brings along. */
export const tagsOf = (request: Request): string[] =>
  (request.get('If-None-Match') ?? '').split(',').map((tag) => tag.trim());

const PARTS = /^(?:W\/)?"([0-9a-z.]+)(?:-([0-9a-z.]+))?"$/;
const PART = /^(\d{1,15})\.[0-9a-z]+$/;

/** Whether the device may have what this part of a tag stands for, of the user's document. */
export const mayHave = (request: Request, part: string): boolean =>
  tagsOf(request).some((tag) => tag === '*' || PARTS.exec(tag)?.[1] === part);

/** The newest revision of the document that the device says it has; `null` for none that can be made out. */
export function confirmedBy(request: Request, document: Tagged, which: 'own' | 'shared'): number | null {
  const { former } = document.epoch ?? {};
  // The same content before it was written anew (P10).
  const current = [tagPartOf(document), former && partOf(former.revision, former.mark)];
  const known = tagsOf(request).flatMap((tag) => {
    const part = PARTS.exec(tag)?.[which === 'own' ? 1 : 2] ?? '';
    const revision = Number(PART.exec(part)?.[1] ?? -1);
    // One of another content is from before a backup was restored.
    const isKnown = revision < document.revision || current.includes(part);
    return revision >= 0 && isKnown && !document.erased?.covers(revision) ? [revision] : [];
  });
  return known.length === 0 ? null : Math.max(...known);
}
