/** `telemed-sync token`, for development. */
import { expect, test } from 'vitest';
import { TokenReader } from '../../server/access/token.js';
import { run } from '../../server/cli/commands.js';
import { readConfig } from '../../server/config.js';

async function makeToken(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  const ending = await run(['token', ...args], env);
  if (ending?.code !== 0) throw new Error(ending?.err);
  return ending.out.trim();
}

const SECRET = 'the secret of the tests, which has more than 32 bytes';

test('[A2] telemed-sync token makes a token that a server with the same environment takes', async () => {
  const env = { JWT_SECRET: SECRET, JWT_ISSUER: 'us', JWT_AUDIENCE: 'sync' };
  const args = [
    '--user',
    'user_123',
    '--access',
    'user_9:read',
    '--access',
    'clinic:7:write',
    '--expires',
    '15m',
  ];
  const token = await makeToken(args, env);
  const reader = await TokenReader.open(readConfig({ AUTH: 'jwt', ...env }), Date.now);
  const person = await reader.read(token);
  expect(person).toMatchObject({ sub: 'user_123', jti: expect.any(String) });
  expect([...person.access]).toEqual([
    ['user_9', 'read'],
    ['clinic:7', 'write'],
  ]);
  expect(person.expiresAt - Date.now()).toBeGreaterThan(14 * 60_000);
  expect(person.expiresAt - Date.now()).toBeLessThanOrEqual(15 * 60_000);
});

test('[D8] telemed-sync token --shared makes a token that may change the shared collections', async () => {
  const env = { JWT_SECRET: SECRET };
  const reader = await TokenReader.open(readConfig({ AUTH: 'jwt', ...env }), Date.now);
  const may = async (...more: string[]) =>
    await reader.read(await makeToken(['--user', 'desk', ...more], env));
  expect([await may('--shared'), await may()]).toMatchObject([
    { writesShared: true },
    { writesShared: false },
  ]);
});

test.each([
  [['--user', 'a b'], { JWT_SECRET: SECRET }, /--user has to name a user, and "a b" has white space/],
  [[], { JWT_SECRET: SECRET }, /--user has to name a user\./],
  [
    ['--user', 'anna', '--expires', 'soon'],
    { JWT_SECRET: SECRET },
    /--expires "soon" is no time such as 30s/,
  ],
  [['--user', 'anna'], {}, /JWT_SECRET is not set/],
  [['--user', 'anna'], { JWT_SECRET: 'short' }, /JWT_SECRET has 5 bytes/],
  [['--user', 'anna', '--access', 'bert'], { JWT_SECRET: SECRET }, /is not USER:read or USER:write/],
  [['--user', 'anna', '--access', 'bert:own'], { JWT_SECRET: SECRET }, /is not USER:read or USER:write/],
])('[A2] telemed-sync token %j says what is wrong', async (args, env, sentence) => {
  await expect(makeToken(args, env)).rejects.toThrow(sentence);
});
