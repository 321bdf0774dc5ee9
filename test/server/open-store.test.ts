/** What is said of the address of a PostgreSQL before it is opened. */
import { afterEach, expect, test, vi } from 'vitest';
import { isPlainFar } from '../../server/store/postgres/connection.js';

test.each([
  ['postgres://sync@db.example.org/clinic', true],
  ['postgres://sync@10.0.0.9:5432/clinic?application_name=sync', true],
  ['postgres://sync@db.example.org/clinic?sslmode=verify-full', false],
  ['postgres://sync@db.example.org/clinic?sslmode=disable', false],
  ['postgres://sync@db.example.org/clinic?ssl=true', false],
  ['postgres://sync@127.0.0.1:5432/clinic', false],
  ['postgres://sync@[::1]/clinic', false],
  ['postgres://sync@localhost/clinic', false],
  ['postgres:///clinic?host=/var/run/postgresql', false],
  ['postgres:///clinic?host=db.example.org', true],
])('whether %s goes to another machine without TLS: %s', async (url, isPlain) => {
  expect(await isPlainFar(url)).toBe(isPlain);
});

const FAR = 'postgres://sync@db.example.org/clinic';
afterEach(() => void vi.unstubAllEnvs());

test.each([
  [FAR, { PGSSLMODE: 'verify-full' }, false],
  [FAR, { PGSSLMODE: 'no-verify' }, false],
  [FAR, { PGSSLMODE: 'allow' }, true], // the driver does not know it
  [FAR, { PGSSLMODE: 'disable' }, true],
  [`${FAR}?sslmode=disable`, { PGSSLMODE: 'require' }, false],
  [FAR, { PGHOST: 'localhost' }, true], // the address says another one
  ['postgres:///clinic', { PGHOST: 'db.example.org' }, true],
  ['postgres:///clinic', { PGHOST: 'db.example.org', PGSSLMODE: 'require' }, false],
  ['postgres:///clinic', { PGHOST: '/var/run/postgresql' }, false],
  ['postgres:///clinic', { PGHOST: '::1' }, false],
])('so it is for %s with %o: %s', async (url, env, isPlain) => {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  expect(await isPlainFar(url)).toBe(isPlain);
});
