import type { Chance } from './chance.js';
import type { Ledger } from './ledger.js';
import type { Witness } from './witness.js';

/** What all devices of one user have in common. */
export interface Shared {
  readonly url: string;
  readonly user: string;
  readonly ledger: Ledger;
  readonly witness: Witness;
  /** Ids of the appointments that were there before the devices came. */
  readonly settled: readonly string[];
  /** A consultation that several devices may make apart. */
  readonly contested: (chance: Chance) => string;
}

/** A device under load. */
export interface Writer {
  readonly name: string;
  /** Resolves when it is connected and has what the server had. */
  connect(): Promise<void>;
  /** Resolves when the server has ended its connection; from then on it edits offline. */
  disconnected(): Promise<void>;
  /** Ends its connection by itself. */
  disconnect(): Promise<void>;
  /** Makes one change, and sends it where there is a connection. */
  edit(): void;
  /** Asks to be told when that is durable, where this is not asked with each change. */
  confirm(): void;
  /** How many of its changes are not confirmed. */
  readonly unconfirmed: number;
  /** Resolves when everything that it made is durable, and everything that was durable before has arrived. */
  settle(): Promise<void>;
  /** Its records: collection → id → record. */
  store(): object;
  close(): void;
}
