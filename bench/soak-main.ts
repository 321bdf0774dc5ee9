/** `npm run soak -- [--minutes N] [--built]`: 30 minutes unless told otherwise. */
import { parseArgs } from 'node:util';
import { soak } from './soak.js';
import { withScope } from './support/scope.js';
import { buildServer } from './support/server-process.js';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, built: { type: 'boolean', default: false } },
});
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new Error(`--minutes takes a number above 0, not ${values.minutes}.`);
if (!values.built) buildServer();
process.exitCode = await withScope(minutes * 60_000 + 300_000, (scope) => soak(minutes, scope));
