import { expect } from 'vitest';
import { PostgresSchema, withPostgres } from '../../../support/postgres.js';

withPostgres('each test on PostgreSQL has a schema of its own', async () => {
  const schemas = await Promise.all([PostgresSchema.create(), PostgresSchema.create()]);
  const [one, other] = schemas;
  if (one === undefined || other === undefined) throw new Error('unreachable');
  await one.query('CREATE TABLE x (a int)');
  await one.query('INSERT INTO x VALUES (1)');
  await other.query('CREATE TABLE x (a int)');
  expect((await one.query('SELECT a FROM x')).rows).toEqual([{ a: 1 }]);
  expect((await other.query('SELECT a FROM x')).rows).toEqual([]);
  await Promise.all(schemas.map((schema) => schema.remove()));
});
