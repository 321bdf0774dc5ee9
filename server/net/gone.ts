/**
 * Whether whoever asked has gone. Node tells it of an answer that has its connection; one that waits there behind
 * another one, since its client asked for both at once, never hears that the connection was closed.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What is to be done as a connection closes: one listener for all that was asked over it. */
const waiting = new WeakMap<Socket, Set<() => void>>();

/** The answer has gone out, or never will. */
export const hasGone = ({ closed, req }: ServerResponse): boolean => closed || req.socket.destroyed;

/** Calls `task` once, when that is so. */
export function whenGone(response: ServerResponse, task: () => void): void {
  if (hasGone(response)) {
    task();
    return;
  }
  const tasks = tasksOf(response.req.socket);
  const run = (): void => {
    if (tasks.delete(run)) task();
  };
  tasks.add(run);
  response.once('close', run);
}

function tasksOf(socket: Socket): Set<() => void> {
  const known = waiting.get(socket);
  if (known !== undefined) return known;
  const tasks = new Set<() => void>();
  waiting.set(socket, tasks);
  socket.once('close', () => {
    for (const run of tasks) run();
  });
  return tasks;
}
