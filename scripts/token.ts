/**
 * `npm run token -- --user user_123 [--access user_9:read] [--shared] [--expires 15m] [--jti ID]`: a token for development,
 * signed with the JWT_SECRET of the environment.
 */
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SignJWT } from 'jose';
import { secretKeys } from '../server/access/keys.js';
import { readConfig } from '../server/config.js';
import { isUserId } from '../shared/names.js';

const USAGE =
  'npm run token -- --user user_123 [--access user_9:read]… [--shared] [--expires 15m] [--jti ID]; --shared lets it change shared collections; the server needs the same JWT_SECRET, and AUTH=jwt';

/** The token that the arguments ask for; throws an Error with a sentence where they make no sense. */
export async function makeToken(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const { user, access, shared, expires, jti } = parseArgs({
    args: [...args],
    options: {
      user: { type: 'string' },
      access: { type: 'string', multiple: true, default: [] },
      shared: { type: 'boolean', default: false },
      expires: { type: 'string', default: '15m' },
      jti: { type: 'string', default: randomUUID() },
    },
  }).values;
  if (!isUserId(user)) throw new Error(`--user has to name a user. ${USAGE}`);
  const { jwtSecret, jwtAlgorithms, jwtIssuer, jwtAudience, jwtUserClaim } = readConfig({
    ...env,
    NODE_ENV: 'development',
  });
  if (jwtSecret === '') throw new Error(`JWT_SECRET is not set. ${USAGE}`);
  const { key, algorithms } = secretKeys(jwtSecret, { jwtAlgorithms });
  const claims = {
    [jwtUserClaim]: user,
    ...(access.length > 0 && { access: access.map(grantOf) }),
    ...(shared && { shared: 'write' }),
  };
  const token = new SignJWT(claims)
    .setProtectedHeader({ alg: algorithms[0] ?? 'HS256' })
    .setJti(jti)
    .setIssuedAt()
    .setExpirationTime(expires);
  if (jwtIssuer !== '') token.setIssuer(jwtIssuer);
  if (jwtAudience !== '') token.setAudience(jwtAudience);
  return await token.sign(key);
}

/** A user id may have colons of its own. */
function grantOf(text: string): { user: string; mode: string } {
  const [, user, mode = ''] = /^(.+):(read|write)$/.exec(text) ?? [];
  if (!isUserId(user)) throw new Error(`--access ${JSON.stringify(text)} is not USER:read or USER:write.`);
  return { user, mode };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(`${await makeToken(process.argv.slice(2), process.env)}\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
