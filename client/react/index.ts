/** The hooks, with the client of browsers as their default. */
import '../index.js';

export * from './hooks.js';
