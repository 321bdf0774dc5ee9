/**
 * The server as a library: `readConfig` → `createApp` → `listen`.
 *
 * @example
 * import { createApp, createLog, readConfig } from 'telemed-sync-server';
 * const app = await createApp(readConfig(process.env), createLog({ format: 'json' }));
 * await app.listen();
 */
export { type App, createApp } from './app.js';
export { type Config, ConfigError, readConfig } from './config.js';
export { createLog, type Log, type LogOptions } from './log.js';
export type { Commit, Snapshot, Store, StoredDocument, StoreState } from './store/store.js';
