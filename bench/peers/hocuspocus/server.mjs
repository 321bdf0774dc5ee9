/**
 * Hocuspocus as its documentation starts it, with its extension for databases on the SQLite of Node: the one that it
 * has for SQLite needs a native module that is built by a script when it is installed. Table and statements are alike.
 */
import { DatabaseSync } from 'node:sqlite';
import { Database } from '@hocuspocus/extension-database';
import { Redis } from '@hocuspocus/extension-redis';
import { Server } from '@hocuspocus/server';

const file = `${process.env.DATA_DIR}/hocuspocus.sqlite`;
const database = new DatabaseSync(file);
// Where several of it share the file, one waits while another one writes.
database.exec('PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000');
database.exec(
  'CREATE TABLE IF NOT EXISTS documents (name varchar(255) NOT NULL, data blob NOT NULL, UNIQUE(name))',
);
const read = database.prepare('SELECT data FROM documents WHERE name = ? ORDER BY rowid DESC');
const write = database.prepare(
  'INSERT INTO documents (name, data) VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET data = excluded.data',
);

const server = new Server({
  address: process.env.HOST,
  port: Number(process.env.PORT),
  quiet: true,
  // The devices of the benchmarks send nothing while they are quiet; a provider does.
  timeout: 3_600_000,
  extensions: [
    new Database({
      fetch: async ({ documentName }) => read.get(documentName)?.data ?? null,
      store: async ({ documentName, state }) => void write.run(documentName, state),
    }),
    ...(process.env.REDIS_PORT
      ? [new Redis({ host: '127.0.0.1', port: Number(process.env.REDIS_PORT) })]
      : []),
  ],
});
await server.listen();
