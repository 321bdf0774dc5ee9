/** Where a hop leads, and what may come of it. */
import type { ClientRequest } from 'node:http';
import { Deadline } from '../net/deadline.js';
import { CONNECT_TIMEOUT, isRefused } from '../net/reachable.js';
import type { Doubt } from './placement.js';

export interface Target {
  readonly at: { readonly host: string; readonly port: number };
  /** The value of the header that the hop has. */
  readonly header: string;
  /** In which it has to be taken, in ms. */
  readonly timeout: number;
  /** After which a node that took it, and says nothing, is given up, in ms. */
  readonly silence: number;
}

/** `led`: the owner has it. `gone`: the client has gone meanwhile. */
export type Led = 'led' | 'gone' | Doubt;

/** What a node says at once to whom it lets in: what it has to ask others may take long, and it lives. */
export const HEARD = 'HTTP/1.1 102 Processing\r\n\r\n';

/** After which the system asks whether the machine of the other node is still there, in ms. */
export const KEEP_ALIVE = 30_000;

/** @param isRefused whether the answer has the header of the hop, as those of a door that lets nobody in */
export function verdictOf(status: number, isRefused: boolean): Led {
  if (status === 421) return 'not mine';
  return isRefused ? 'not let in' : 'led';
}

/** It has said nothing more in the time that it had. */
export class Late extends Error {
  override readonly message = 'the node did not answer in time';
}

/**
 * A connection that nobody takes is known to be none; of any other end the cause is not known.
 *
 * @param isHeard whether the node had let this one in
 */
export function whyNot(error: unknown, isHeard = false): Doubt {
  if (isHeard && error instanceof Late) return 'slow';
  return isRefused(error) ? 'refused' : 'silent';
}

/** Ends a request that nobody takes in time; what is returned ends the wait. */
export function untilTaken(asked: ClientRequest, timeout: number): () => void {
  const inTime = new Deadline(CONNECT_TIMEOUT, () => asked.destroy(new Late()));
  asked.once('socket', (socket) => socket.once('connect', () => inTime.restart(timeout)));
  return () => {
    asked.removeAllListeners('socket');
    inTime.end();
  };
}

/** 'node:3101', '[fd00::5]:3101'. */
export function hostAndPortOf(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}
