/**
 * A database in which every user has what the first one has: to store it for each through the server takes some
 * milliseconds of CPU a user, minutes for 10,000.
 */
import { ClassicLevel } from 'classic-level';
import { seal, unseal } from '../../server/store/format.js';

/** @param names all of one length, so that a key of one is a key of another but for the name */
export async function copyFirst(folder: string, names: readonly string[]): Promise<void> {
  const [first = '', ...others] = names;
  if (others.some(({ length }) => length !== first.length)) throw new Error('The names differ in length.');
  const db = new ClassicLevel<Buffer, Buffer>(folder, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
  const all = await db.iterator().all();
  const own = all.filter(([key]) => key.includes(first));
  if (own.length === 0) throw new Error(`There is nothing of ${first} to be copied.`);
  for (const name of others) {
    await db.batch(own.map(([key, value]) => copied(key, value, renamed(key, first, name))));
  }
  await db.close();
}

/** Checksums of our server cover the key. */
function copied(from: Buffer, value: Buffer, key: Buffer): { type: 'put'; key: Buffer; value: Buffer } {
  const bare = unseal(value, from);
  return { type: 'put', key, value: bare === undefined ? value : seal(bare, key) };
}

function renamed(key: Buffer, from: string, to: string): Buffer {
  const copy = Buffer.from(key);
  copy.write(to, copy.indexOf(from));
  return copy;
}
