/** The two packages that `telemed-sync/node` needs and apps in browsers do without: its optional peers. */
import { createRequire } from 'node:module';
import type * as Level from 'classic-level';
import type { WebSocketConstructor } from './platform.js';

// Built for `require`, this file has no `import.meta.url`, but `__filename`.
const load = createRequire(import.meta.url ?? __filename);

/** By `require`: an `import` of what is missing ends with the words of Node before any of ours. */
function peer(name: 'ws' | 'classic-level'): unknown {
  try {
    return load(name);
  } catch (cause) {
    if (!isMissing(name, cause)) throw cause;
    const what = `'telemed-sync/node' needs the package '${name}', which is not installed`;
    throw new Error(`${what}: npm install ws classic-level`, { cause });
  }
}

/** The package itself, and not one that it needs. */
const isMissing = (name: string, cause: unknown): boolean =>
  cause instanceof Error && cause.message.startsWith(`Cannot find module '${name}'`);

// In every version of ws, the class is what `require` gives.
export const WebSocket = peer('ws') as WebSocketConstructor;

export const { ClassicLevel } = peer('classic-level') as typeof Level;
export type ClassicLevel<Key, Value> = Level.ClassicLevel<Key, Value>;
