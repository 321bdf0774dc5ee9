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

if (isOlder(process.versions.node, needed)) {
  process.stderr.write(
    `telemed-sync needs Node ${needed} or newer, and this is Node ${process.versions.node}: install a newer one.\n`,
  );
  process.exitCode = 2;
} else {
  import('./commands.js').then(({ runProcess }) => runProcess());
}
