/** Where the revoked tokens and the audit trail are: outside of the database's folder, whose backups would set them back. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';

/** The note in the database that says how far both are. */
export const ACCESS_NOTE = 'access';

export interface AccessPlaces {
  readonly revoked: string;
  readonly audit: string;
  /** The folder of the first. */
  readonly folder: string;
  /** Whether a restored copy of `DATA_DIR` takes them along. */
  readonly isInData: boolean;
}

interface PlaceOptions {
  readonly dataDir: string;
  readonly accessDir: string;
  readonly auditFile: string;
}

/** Those of a server from before there was `ACCESS_DIR` stay where they are. */
export function accessPlaces({ dataDir, accessDir, auditFile }: PlaceOptions): AccessPlaces {
  const data = resolve(dataDir);
  const beside = `${data}-access`;
  const inside = {
    revoked: join(data, 'access', 'revoked.jsonl'),
    audit: join(data, 'audit', 'audit.jsonl'),
  };
  const isOld = existsSync(inside.revoked) || existsSync(inside.audit);
  const staysInside = accessDir === '' && !existsSync(beside) && (isOld || !canStandBeside(data));
  const folder = accessDir === '' ? beside : resolve(accessDir);
  const { revoked, audit } = staysInside
    ? inside
    : { revoked: join(folder, 'revoked.jsonl'), audit: join(folder, 'audit.jsonl') };
  const named = auditFile === '' ? audit : resolve(auditFile);
  return { revoked, audit: named, folder: dirname(revoked), isInData: isAtOrBelow(revoked, data) };
}

const isAtOrBelow = (path: string, folder: string): boolean => path.startsWith(join(folder, sep));

/** What is beside a volume of a container is gone with the container. */
function canStandBeside(data: string): boolean {
  const parent = dirname(data);
  try {
    accessSync(parent, constants.W_OK);
    return !existsSync(data) || statSync(data).dev === statSync(parent).dev;
  } catch {
    return false;
  }
}
