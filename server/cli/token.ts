/** `telemed-sync token`: a token for development, signed with the JWT_SECRET of the environment. */
import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { isUserId, userIdProblem } from '../../shared/names.js';
import { secretKeys } from '../access/token-keys.js';
import { readConfig } from '../config.js';
import { type Call, type Command, done, noMoreThan, textOf, UsageError } from './command.js';

const listOf = ({ values }: Call, option: string): string[] => {
  const value = values[option];
  return Array.isArray(value) ? value.map(String) : [];
};

async function signed(call: Call): Promise<string> {
  const user = textOf(call, 'user');
  const access = listOf(call, 'access').map(grantOf);
  if (user === undefined) throw new UsageError('--user has to name a user.');
  if (!isUserId(user))
    throw new UsageError(`--user has to name a user, and ${JSON.stringify(user)} ${userIdProblem(user)}.`);
  const { jwtSecret, jwtAlgorithms, jwtIssuer, jwtAudience, jwtUserClaim } = readConfig({
    ...call.env,
    NODE_ENV: 'development',
  });
  if (jwtSecret === '') throw new UsageError('JWT_SECRET is not set.');
  const { key, algorithms } = secretKeys(jwtSecret, { jwtAlgorithms });
  const claims = {
    [jwtUserClaim]: user,
    ...(access.length > 0 && { access }),
    ...(call.values.shared === true && { shared: 'write' }),
  };
  const token = new SignJWT(claims)
    .setProtectedHeader({ alg: algorithms[0] ?? 'HS256' })
    .setJti(textOf(call, 'jti') ?? randomUUID())
    .setIssuedAt();
  expiring(token, textOf(call, 'expires') ?? '15m');
  if (jwtIssuer !== '') token.setIssuer(jwtIssuer);
  if (jwtAudience !== '') token.setAudience(jwtAudience);
  return await token.sign(key);
}

function expiring(token: SignJWT, time: string): void {
  try {
    token.setExpirationTime(time);
  } catch {
    throw new UsageError(`--expires ${JSON.stringify(time)} is no time such as 30s, 15m or 8h.`);
  }
}

/** A user id may have colons of its own. */
function grantOf(text: string): { user: string; mode: string } {
  const [, user, mode = ''] = /^(.+):(read|write)$/.exec(text) ?? [];
  if (!isUserId(user))
    throw new UsageError(`--access ${JSON.stringify(text)} is not USER:read or USER:write.`);
  return { user, mode };
}

export const token: Command = {
  name: 'token',
  summary: 'makes a token for development, signed with JWT_SECRET',
  usage: ['token --user ID [--access ID:read|write]… [--shared] [--expires 15m] [--jti ID]'],
  details: () =>
    'The server needs the same JWT_SECRET, and AUTH=jwt. --shared lets it change shared collections.',
  options: {
    user: { type: 'string' },
    access: { type: 'string', multiple: true },
    shared: { type: 'boolean' },
    expires: { type: 'string' },
    jti: { type: 'string' },
  },
  async run(call) {
    noMoreThan(0, call);
    const made = await signed(call);
    return done(made, { token: made });
  },
};
