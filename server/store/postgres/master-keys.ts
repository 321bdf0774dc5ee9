import { SyncError } from '../../errors.js';
import type { KeyRing } from '../encryption/key-ring.js';
import type { Connection } from './connection.js';

const KEYS = 'SELECT id FROM master_key ORDER BY id';
const HAS_DOCUMENTS = 'SELECT EXISTS (SELECT FROM update_row) AS there';
const USE = 'INSERT INTO master_key (id) VALUES ($1::text) ON CONFLICT DO NOTHING';

/** Rejects with a sentence that names cause and cure where the keys are not those of what is stored. */
export async function checkMasterKeys(connection: Connection, ring: KeyRing | null): Promise<void> {
  const used = (await connection.read({ text: KEYS, values: [] })).map(({ id }) => String(id));
  if (ring === null) {
    if (used.length === 0) return;
    throw refused(`is encrypted (key ${used.join(', ')}): set ENCRYPTION_KEY or ENCRYPTION_KEY_FILE.`);
  }
  const missing = used.filter((id) => !ring.has(id));
  if (missing.length > 0)
    throw refused(
      `is encrypted with the key ${missing.join(', ')}, which is not among those given (${ring.ids.join(', ')}).`,
    );
  const [answer] = await connection.read({ text: HAS_DOCUMENTS, values: [] });
  if (used.length === 0 && answer?.there === true)
    throw refused(
      'is not encrypted, and is not encrypted afterwards: start without a key, or with an empty one.',
    );
  await connection.read({ text: USE, values: [ring.current.id] });
}

const refused = (what: string): SyncError =>
  new SyncError('STORE_UNAVAILABLE', `What is stored in the PostgreSQL of STORE ${what}`);
