/** One node as a process of its own: the built server on the PostgreSQL that POSTGRES names. */
import { createApp, createLog, readConfig } from '../../packages/server/dist/server/index.js';
import { PostgresStore } from '../../packages/server/dist/server/store/postgres/postgres-store.js';

const { POSTGRES, ...env } = process.env;
const config = readConfig(env);
const store = await PostgresStore.open({ url: POSTGRES, address: config.clusterAddress });
const app = await createApp(config, createLog({ format: 'json', level: 'info' }), { store });
await app.listen();
