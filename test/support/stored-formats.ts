/** Databases as released versions stored them: `test/formats/NAME/data`, with what a server answered of them. */
import { fileURLToPath } from 'node:url';

export const FIXTURES = fileURLToPath(new URL('../formats/', import.meta.url));

/** Not a secret: it opens these files alone. */
const KEY = 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';

/** What was stored then is old by now, and is kept all the same. */
const OPTIONS = { HISTORY_DAYS: '36500', SHARED_COLLECTIONS: 'doctors' };

export const optionsOf = (name: string): Record<string, string> => ({
  ...OPTIONS,
  ...(name.endsWith('-encrypted') && { ENCRYPTION_KEY: KEY }),
});

const PATHS = ['sync/anna', 'sync/bert', 'history/anna?limit=100', 'users/anna/export'];

/** What a server answers of its users. */
export async function answersOf(url: string): Promise<Record<string, Record<string, unknown>>> {
  const answers: Record<string, Record<string, unknown>> = {};
  for (const path of PATHS) {
    const answer = (await (await fetch(`${url}/api/${path}`)).json()) as Record<string, unknown>;
    const { exportedAt, timestamp, ...lasting } = answer;
    answers[path] = lasting;
  }
  return answers;
}
