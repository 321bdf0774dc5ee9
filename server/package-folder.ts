/** The folder of the package `telemed-sync-server`, which holds its package.json and all that is built. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** This file runs from `dist/server` in it, or from the sources. */
export const PACKAGE_FOLDER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../packages/server' : '../..', import.meta.url),
);

const { version } = createRequire(import.meta.url)(join(PACKAGE_FOLDER, 'package.json')) as {
  version: string;
};
export const VERSION = version;
