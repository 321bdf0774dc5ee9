/** What is asked of users page by page, a row of each. */
import type { Request } from 'express';
import { z } from 'zod';
import { isUserId, type UserId } from '../../../../shared/names.js';
import { read } from '../request.js';
import type { AdminOptions } from './options.js';

/** Users that one answer looks at: who looks for more, asks for the next page. */
const LOOKED_AT = 2_000;
/** Those whose rows are read before others have their turn. */
const AT_ONCE = 100;

const querySchema = z.object({ after: z.string().refine(isUserId, 'is no user').nullable().default(null) });

/** Behind whom the page begins; `null` for the first. */
export const afterIn = ({ query }: Request): UserId | null => read(querySchema, query).after;

/** Of whom something is stored. */
export async function someUsers({ operator }: AdminOptions, after: UserId | null) {
  const users = await operator.store.users(after, LOOKED_AT);
  return { looked: users.filter(isUserId), next: users.length < LOOKED_AT ? null : (users.at(-1) ?? null) };
}

export async function ofEach<Result>(
  users: readonly UserId[],
  look: (user: UserId) => Promise<readonly Result[]>,
): Promise<readonly Result[]> {
  const found: Result[] = [];
  for (let from = 0; from < users.length; from += AT_ONCE) {
    const some = await Promise.all(users.slice(from, from + AT_ONCE).map(look));
    found.push(...some.flat());
  }
  return found;
}
