/** Where a hop leads, and what may come of it. */
import type { Doubt } from './placement.js';

export interface Target {
  readonly at: { readonly host: string; readonly port: number };
  /** The value of the header that the hop has. */
  readonly header: string;
  /** In which it has to be taken, in ms. */
  readonly timeout: number;
}

/** `led`: the owner has it. `gone`: the client has gone meanwhile. */
export type Led = 'led' | 'gone' | Doubt;

/** Another node of the same cluster is near. */
export const CONNECT_TIMEOUT = 2_000;

/** A connection that nobody takes is known to be none; of any other end the cause is not known. */
export const whyNot = (error: unknown): Doubt =>
  error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED' ? 'refused' : 'silent';

/** 'node:3101', '[fd00::5]:3101'. */
export function hostAndPortOf(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}
