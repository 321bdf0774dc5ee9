/** `npm run audit -- verify [FILE]`: whether the audit trail is as it was written. */
import { fileURLToPath } from 'node:url';
import { verifyAudit } from './access/audit.js';
import { accessPlaces } from './access/places.js';
import { readConfig } from './config.js';

const USAGE = 'npm run audit -- verify [FILE]; without FILE that of AUDIT_FILE, ACCESS_DIR or DATA_DIR';

export interface Verdict {
  readonly said: string;
  readonly exitCode: 0 | 1 | 2;
}

/** 0 for a trail in order, 1 for one that was tampered with, 2 where it can't be told. */
export async function verifyCommand(
  [command, named, ...others]: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<Verdict> {
  if (command !== 'verify' || others.length > 0) return { said: USAGE, exitCode: 2 };
  const file = named ?? fileOf(env);
  try {
    const { head, brokenLine, unfinished } = await verifyAudit(file);
    if (brokenLine !== null) {
      const said = `${file}: line ${brokenLine} is not the one that was written there; the ${head.number} before it are in order.`;
      return { said, exitCode: 1 };
    }
    const torn =
      unfinished > 0 ? ` Behind them are ${unfinished} bytes of a line that a crash left unfinished.` : '';
    const said = `${file}: ${head.number} lines in order, the last has the hash ${head.hash}.${torn} That none is missing at the end, the server's log tells: it names lines and hash at each start.`;
    return { said, exitCode: 0 };
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing)
      return { said: `There is no audit trail at ${file}. ${USAGE}, set as for the server.`, exitCode: 2 };
    return { said: error instanceof Error ? error.message : String(error), exitCode: 2 };
  }
}

function fileOf(env: Readonly<Record<string, string | undefined>>): string {
  return accessPlaces(readConfig({ ...env, NODE_ENV: 'development' })).audit;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { said, exitCode } = await verifyCommand(process.argv.slice(2), process.env);
  process.stdout.write(`${said}\n`);
  process.exitCode = exitCode;
}
