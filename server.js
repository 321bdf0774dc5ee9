/** `node server.js`, for platforms that start a file: the built server. Everything else is in packages/server. */
import { existsSync } from 'node:fs';

const program = new URL('./packages/server/dist/server/cli/main.cjs', import.meta.url);
if (existsSync(program)) {
  await import(program.href);
} else {
  process.stderr.write('The server is not built yet: run `npm install`, or `npm run build`.\n');
  process.exitCode = 1;
}
