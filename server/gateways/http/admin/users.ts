/** The users, page by page. No document is loaded for that: what is noted of it at rest tells what is shown. */
import type { Request, Response } from 'express';
import { z } from 'zod';
import { isUserId, type UserId } from '../../../../shared/names.js';
import type { UserDocument } from '../../../documents/user-document.js';
import { byBytes } from '../../../protocol/bytes.js';
import type { RestRow } from '../../../store/store.js';
import { sendJson } from '../compression.js';
import { read } from '../request.js';
import type { AdminOptions } from './options.js';

/** Names that one search looks at: who looks for more, asks for the next page. */
const LOOKED_AT = 20_000;
const AT_ONCE = 1_000;
const MOST = 200;

const querySchema = z.object({
  search: z.string().max(200).default(''),
  after: z.string().refine(isUserId, 'is no user').nullable().default(null),
  limit: z
    .string()
    .regex(/^\d{1,3}$/, 'must be a whole number')
    .transform(Number)
    .refine((n) => n >= 1 && n <= MOST, `must be from 1 to ${MOST}`)
    .default(50),
});

/** What is shown of one user; `null` where it is not known without loading the document. */
interface ShownUser {
  readonly user: UserId;
  readonly revision: number | null;
  readonly bytes: number | null;
  readonly changedAt: number | null;
  readonly connections: number;
  readonly damaged: boolean;
}

export async function getUsers(options: AdminOptions, request: Request, response: Response): Promise<void> {
  const query = read(querySchema, request.query);
  const { access, quotas, operator, registry, config } = options;
  await access.operated({ user: '*', action: 'users', address: quotas.addressOf(request) });
  const connected = operator.connectedBy();
  const { found, next } = await find(options, query, connected);
  const loaded = new Map(registry.documents.map((document) => [document.user, document]));
  const users = await Promise.all(
    found.map(async (user): Promise<ShownUser> => {
      const document = loaded.get(user);
      const known = document ? summaryOf(document) : await operator.store.rest(user).catch(() => null);
      const shown = { ...shownOf(known), connections: connected.get(user) ?? 0 };
      return { user, ...shown, damaged: operator.damaged.has(user) };
    }),
  );
  const limit = Number.isFinite(config.maxDocument) ? config.maxDocument : null;
  await sendJson(options, request, response, { users, next, limit });
}

type Query = z.output<typeof querySchema>;
type Connected = ReturnType<AdminOptions['operator']['connectedBy']>;

type Known = Pick<RestRow, 'revision' | 'bytes' | 'changedAt'>;

const summaryOf = ({ revision, rest }: UserDocument): Known => ({ revision, ...rest.summary });

const shownOf = (known: Known | null) => ({
  revision: known?.revision ?? null,
  bytes: known?.bytes ?? null,
  changedAt: known?.changedAt ?? null,
});

/** The count of changes of a user, where it is known without loading the document. */
export async function revisionOf({ registry, operator }: AdminOptions, user: UserId): Promise<number | null> {
  const loaded = registry.documents.find((document) => document.user === user);
  return loaded?.revision ?? (await operator.store.rest(user).catch(() => null))?.revision ?? null;
}

interface Found {
  readonly found: readonly UserId[];
  /** What to ask for as `after`, to go on; `null` at the end. */
  readonly next: UserId | null;
}

async function find({ operator }: AdminOptions, query: Query, connected: Connected): Promise<Found> {
  const { search, limit } = query;
  const wanted = search.toLowerCase();
  const isFound = (user: UserId) => isUserId(user) && user.toLowerCase().includes(wanted);
  const there = [...connected.keys()].filter(isFound).sort(byBytes);
  const found: UserId[] = [];
  let after: UserId | null = query.after;
  for (let looked = 0; looked < LOOKED_AT; looked += AT_ONCE) {
    const size = wanted === '' ? limit : AT_ONCE;
    const stored = await operator.store.users(after, size);
    const users = withUnlisted(stored, there, { after, size });
    for (const user of users) {
      after = user;
      if (isFound(user)) found.push(user);
      if (found.length === limit) return { found, next: user };
    }
    if (users.length < size) return { found, next: null };
  }
  return { found, next: after };
}

/** A page of the store's list; whoever is connected, and has nothing stored yet, is put in its place. */
function withUnlisted(
  stored: readonly UserId[],
  connected: readonly UserId[],
  { after, size }: { readonly after: UserId | null; readonly size: number },
): readonly UserId[] {
  const last = stored.length < size ? undefined : stored.at(-1);
  const between = connected.filter(
    (user) => (after === null || byBytes(user, after) > 0) && (last === undefined || byBytes(user, last) < 0),
  );
  return [...new Set([...stored, ...between])].sort(byBytes).slice(0, size);
}
