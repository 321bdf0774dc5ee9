/** The folder of the package `telemed-sync-server`, which holds its package.json and all that is built. */
import { fileURLToPath } from 'node:url';

/** This file runs from `dist/server` in it, or from the sources. */
export const PACKAGE_FOLDER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../packages/server' : '../..', import.meta.url),
);
