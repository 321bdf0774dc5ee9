#!/usr/bin/env node
/** The command `telemed-sync`: looks at the version of Node before anything is imported that would need it. */

/** What `engines` of package.json asks for, as `>=20.15`. */
const needed: string = require('../../../package.json').engines.node.replace('>=', '');

const numbersOf = (version: string): number[] => version.split('.').map(Number);

function isOlder(version: string, least: string): boolean {
  const [have, want] = [numbersOf(version), numbersOf(least)];
  const differs = want.findIndex((number, index) => number !== have[index]);
  return differs >= 0 && (have[differs] ?? 0) < (want[differs] ?? 0);
}

/** What is loaded is checked by tests: only an install that is not whole fails here. */
function refuse(error: unknown): void {
  const root = error instanceof Error ? (error.cause ?? error) : error;
  const cause = root instanceof Error ? root.stack : String(root);
  process.stderr.write(
    `telemed-sync can't start: a package that it needs is missing, or not built for this machine. Install it anew, with install scripts allowed: npm install\n${cause}\n`,
  );
  process.exitCode = 1;
}

if (isOlder(process.versions.node, needed)) {
  process.stderr.write(
    `telemed-sync needs Node ${needed} or newer, and this is Node ${process.versions.node}: install a newer one.\n`,
  );
  process.exitCode = 2;
} else {
  import('./commands.js').then(({ runProcess }) => runProcess()).catch(refuse);
}
