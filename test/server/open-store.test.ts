/** What is said of the address of a PostgreSQL before it is opened. */
import { expect, test } from 'vitest';
import { isPlainFar } from '../../server/open-store.js';

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
])('whether %s goes to another machine without TLS: %s', (url, isPlain) => {
  expect(isPlainFar(url)).toBe(isPlain);
});
