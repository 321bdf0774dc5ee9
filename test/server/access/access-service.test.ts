/** Access of people who see more users than a token can carry (A2). */
import { describe, expect, test } from 'vitest';
import { Access } from '../../../server/access/access.js';
import { AccessService } from '../../../server/access/access-service.js';
import type { Mode, Person } from '../../../server/access/principal.js';
import { readConfig } from '../../../server/config.js';
import { type AccessProvider, useAccessProvider } from '../../support/access-provider.js';
import { user } from '../../support/notes.js';
import { JWT } from '../../support/tokens.js';

const doctor = (name = 'doctor'): Person => ({
  kind: 'person',
  sub: user(name),
  access: new Map(),
  writesShared: false,
  jti: null,
  issuedAt: null,
  expiresAt: Number.POSITIVE_INFINITY,
});

const MINUTE = 60_000;

function asking(provider: AccessProvider, maxAge = MINUTE, more: { maxAnswers?: number } = {}) {
  const clock = { now: 1_700_000_000_000 };
  const service = new AccessService({ url: new URL(provider.url), maxAge, uptime: () => clock.now, ...more });
  const ask = (name: string, token = 'token', person = doctor()): Promise<Mode | null> =>
    service.modeOf(person, token, user(name));
  return { clock, ask };
}

describe('[A2] ACCESS_URL', () => {
  test('is asked with the token and the user, whatever the name and the address look like', async () => {
    const provider = await useAccessProvider('/may?tenant=a%26b');
    provider.modes.set('auth0|64f0', 'read').set('anna+test@x.org', 'write').set('zo\u00eb&user=x', 'read');
    const { ask } = asking(provider);
    expect([await ask('auth0|64f0'), await ask('anna+test@x.org'), await ask('zo\u00eb&user=x')]).toEqual([
      'read',
      'write',
      'read',
    ]);
    expect(await ask('x')).toBeNull();
    expect(new Set(provider.tokens)).toEqual(new Set(['Bearer token']));
  });

  test('a yes holds for its time, a no for 5 s; another token is asked for anew', async () => {
    const provider = await useAccessProvider();
    provider.modes.set('anna', 'read');
    const { clock, ask } = asking(provider);
    expect([await ask('anna'), await ask('bert')]).toEqual(['read', null]);
    clock.now += 4_999;
    expect([await ask('anna'), await ask('bert')]).toEqual(['read', null]);
    expect(provider.asked).toEqual(['anna', 'bert']);
    provider.modes.set('anna', 'none').set('bert', 'write');
    clock.now += 1;
    expect([await ask('anna'), await ask('bert')]).toEqual(['read', 'write']);
    expect(await ask('anna', 'another token')).toBeNull();
    clock.now += MINUTE;
    expect(await ask('anna')).toBeNull();
    expect(provider.asked).toEqual(['anna', 'bert', 'bert', 'anna', 'anna']);
  });

  test('questions that are asked at once are one', async () => {
    const provider = await useAccessProvider();
    provider.modes.set('anna', 'write');
    const { ask } = asking(provider, 0);
    expect(await Promise.all(Array.from({ length: 30 }, () => ask('anna')))).toEqual(Array(30).fill('write'));
    expect(provider.asked).toEqual(['anna']);
    await ask('anna');
    expect(provider.asked).toHaveLength(2); // no answer holds with a time of 0
  });

  test.each([401, 403, 404])('status %i is a no', async (status) => {
    const provider = await useAccessProvider();
    provider.modes.set('anna', (response) => void response.writeHead(status).end('no'));
    expect(await asking(provider).ask('anna')).toBeNull();
  });

  test.each<[string, string | number]>([
    ['status 500', 500],
    ['status 429', 429],
    ['no JSON', 'yes'],
    ['another mode', '{"mode":"admin"}'],
    ['no mode', '{}'],
    ['a list', '["read"]'],
  ])('with %s nobody can tell; it is asked again', async (_, answer) => {
    const provider = await useAccessProvider();
    provider.modes.set('anna', (response) =>
      typeof answer === 'number' ? void response.writeHead(answer).end() : void response.end(answer),
    );
    const { ask } = asking(provider);
    await expect(ask('anna')).rejects.toMatchObject({ code: 'ACCESS_UNAVAILABLE' });
    provider.modes.set('anna', 'read');
    expect(await ask('anna')).toBe('read');
  });

  test.each<[string, string]>([
    ['an object', '{"mode":"read","more":"'],
    ['white space', ' '],
    ['a list', '['],
  ])('an answer without end, of %s, is broken off: nobody can tell', async (_, start) => {
    const provider = await useAccessProvider();
    let sent = 0;
    const ended = new Promise<void>((resolve) => {
      provider.modes.set('anna', (response) => {
        response.write(start);
        const chunk = ' '.repeat(65_536);
        const more = (): void => {
          while (!response.destroyed && response.write(chunk)) sent += chunk.length;
        };
        response.on('drain', more).on('close', resolve);
        more();
      });
    });
    const { ask } = asking(provider);
    await expect(ask('anna')).rejects.toMatchObject({ code: 'ACCESS_UNAVAILABLE' });
    await ended;
    expect(sent).toBeLessThan(16 * 2 ** 20); // what the sockets hold
    provider.modes.set('anna', 'read');
    expect(await ask('anna')).toBe('read');
  });

  test('a service that sends on to another one, or is not there, is not followed: the token is for nobody else', async () => {
    const [provider, other] = [await useAccessProvider(), await useAccessProvider()];
    provider.modes.set(
      'anna',
      (response) => void response.writeHead(302, { location: `${other.url}?user=anna` }).end(),
    );
    other.modes.set('anna', 'write');
    await expect(asking(provider).ask('anna')).rejects.toMatchObject({ code: 'ACCESS_UNAVAILABLE' });
    expect(other.asked).toEqual([]);
    const gone = { ...provider, url: 'http://127.0.0.1:1/' };
    await expect(asking(gone).ask('anna')).rejects.toMatchObject({ code: 'ACCESS_UNAVAILABLE' });
  });

  test('one person has at most 50 questions under way, and others are asked for meanwhile', async () => {
    const provider = await useAccessProvider();
    const waiting: (() => void)[] = [];
    let arrive = () => {};
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    for (let i = 0; i < 60; i++) {
      provider.modes.set(`p${i}`, (response) => {
        waiting.push(() => response.end('{"mode":"read"}'));
        if (waiting.length === 50) arrive();
      });
    }
    provider.modes.set('anna', 'read');
    const { ask } = asking(provider);
    const answers = Promise.allSettled(Array.from({ length: 60 }, (_, i) => ask(`p${i}`)));
    expect(await ask('anna', 'token of another', doctor('nurse'))).toBe('read');
    await arrived;
    for (const answer of waiting) answer();
    const settled = await answers;
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(50);
    provider.modes.set('p59', 'write');
    expect(await ask('p59')).toBe('write');
  });

  test('as many answers are kept as may be; the oldest go first', async () => {
    const provider = await useAccessProvider();
    const { ask } = asking(provider, MINUTE, { maxAnswers: 3 });
    for (const name of ['u0', 'u1', 'u2', 'u3']) await ask(name);
    for (const name of ['u3', 'u1']) await ask(name);
    expect(provider.asked).toEqual(['u0', 'u1', 'u2', 'u3']);
    await ask('u0');
    expect(provider.asked).toEqual(['u0', 'u1', 'u2', 'u3', 'u0']);
  });

  test.each<[Record<string, string>, string]>([
    [{ ...JWT, ACCESS_URL: 'http://access.example/may' }, 'ACCESS_URL has to be an https address.'],
    [{ ...JWT, ACCESS_URL: 'may' }, 'ACCESS_URL has to be an https address.'],
    [
      { ACCESS_URL: 'https://access.example' },
      'ACCESS_URL is set, but AUTH is none: set AUTH=jwt, or leave it out.',
    ],
  ])('%j stops the start', async (options, sentence) => {
    await expect(Access.create(readConfig(options), Date.now)).rejects.toThrow(sentence);
  });
});
