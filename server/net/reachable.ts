/** Whether anything gets to another machine and back. */
import { connect, isIP, type LookupFunction } from 'node:net';
import { Deadline } from './deadline.js';

/** Machines of ours are near, in ms. */
export const CONNECT_TIMEOUT = 2_000;
/** By these the system says that there is no way. */
const NO_WAY: ReadonlySet<unknown> = new Set([
  ...['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'ETIMEDOUT'],
]);

interface Machine {
  readonly host: string;
  readonly port: number;
  /** For tests: finds the address of its name. */
  readonly lookup?: LookupFunction;
}

/**
 * Its system answers for a process that is busy, stopped or gone. `null` where nobody can tell: its address was not
 * found, or this process can make no connection.
 */
export function isReachable(machine: Machine): Promise<boolean | null> {
  return new Promise((resolve) => {
    const socket = connect(machine);
    let isFound = isIP(machine.host) !== 0;
    const settle = (is: boolean | null) => {
      inTime.end();
      socket.destroy();
      resolve(is);
    };
    const inTime = new Deadline(CONNECT_TIMEOUT, () => settle(isFound ? false : null));
    socket.once('lookup', (error) => {
      isFound = error === null;
      inTime.restart(CONNECT_TIMEOUT);
    });
    socket.once('connect', () => settle(true));
    socket.once('error', (error) => settle(isFound ? saidBy(error) : null));
  });
}

/** Of several addresses one that answers is enough. */
function saidBy(error: Error): boolean | null {
  const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
  if (errors.some(isRefused)) return true;
  return errors.some((each) => NO_WAY.has(codeOf(each))) ? false : null;
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;

/** Nobody listens there. */
export const isRefused = (error: unknown): boolean => codeOf(error) === 'ECONNREFUSED';
