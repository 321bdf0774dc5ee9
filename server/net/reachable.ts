/** Whether anything gets to another machine and back. */
import { connect } from 'node:net';

/** Machines of ours are near, in ms. */
export const CONNECT_TIMEOUT = 2_000;

/** Its system answers for a process that is busy, stopped or gone. */
export function isReachable(at: { readonly host: string; readonly port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ ...at, timeout: CONNECT_TIMEOUT });
    const settle = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', (error) => settle(isRefused(error)));
  });
}

/** Nobody listens there. */
export const isRefused = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
