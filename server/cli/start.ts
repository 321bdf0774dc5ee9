import { OPTIONS } from '../config.js';
import { type Command, loaded, noMoreThan } from './command.js';

const WATCH_EVERY = 500; // ms

/**
 * A signal to npm ends the shell that npm ran this in, which passes it on to nobody: the server stops when that
 * shell is gone.
 */
function stopWithNpm(): void {
  const parent = process.ppid;
  const watch = () => process.ppid === parent || process.kill(process.pid, 'SIGTERM');
  setInterval(watch, WATCH_EVERY).unref();
}

function optionList(): string {
  const lines = Object.entries(OPTIONS).map(([name, { fallback, inProduction, line }]) => {
    const production =
      inProduction === undefined
        ? ''
        : `; in production ${inProduction === null ? 'it has to be set' : inProduction}`;
    return `  ${name} (${fallback === '' ? 'not set' : fallback}${production})\n      ${line}`;
  });
  return `Options are variables of the environment, here with their defaults:\n\n${lines.join('\n')}`;
}

export const start: Command = {
  name: 'start',
  summary: 'starts the server',
  usage: ['', 'start', 'start --help'],
  details: optionList,
  async run(call) {
    noMoreThan(0, call);
    if (call.env.npm_lifecycle_event === 'start') stopWithNpm();
    await loaded(import('../main.js'));
    return null;
  },
};
