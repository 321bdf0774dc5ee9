/**
 * What is kept of a user whose data was erased, so that no device brings any of it back (P7): which Yjs clients had
 * written, which JSON devices had been there (hashed), and when it was.
 */
import { createHmac, randomBytes } from 'node:crypto';
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';
import type { DeviceKey } from '../../shared/names.js';
import { SyncError } from '../errors.js';
import type { UpdateScan } from '../protocol/scan.js';
import type { Former, RestRow } from '../store/store.js';
import { Epoch } from './epochs/epoch.js';
import { hasId, sortedIds } from './epochs/sorted-ids.js';
import type { DeviceState } from './json-devices/device.js';
import type { WriteContext } from './json-devices/write-context.js';

const VERSION = 1;
const HASH_BYTES = 16;
/** What an older version has read of each client, and nobody goes by. */
const NO_CLOCK = 0;
/** A state vector without clients. */
const NOTHING_WRITTEN = Uint8Array.of(0);

interface Content {
  /** When the last erasure was, in ms since 1970. */
  readonly at: number;
  /** Of the document when it was empty again; above that of the erasure before. */
  readonly revision: number;
  readonly salt: Uint8Array;
  /** All that had written, in ascending order. */
  readonly clients: Float64Array;
  /** Hashes of device ids, as hex. */
  readonly devices: ReadonlySet<string>;
}

/** A document that is about to be erased. */
export interface Erasable {
  readonly revision: number;
  readonly devices: { readonly keys: readonly DeviceKey[] };
  readonly erased: Tombstone | null;
  /** Of the documents that it took the place of. */
  readonly epoch: { readonly retired: Iterable<number> } | null;
  stateVector(): Uint8Array;
}

/** One that is damaged, by what is known of it all the same. */
export interface DamagedDocument {
  /** What was noted of it at rest, if that is there. */
  readonly noted: Pick<RestRow, 'revision' | 'stateVector'> | null;
  readonly devices: readonly DeviceKey[];
  readonly former: Former;
}

export const erasableOf = ({ noted, devices, former }: DamagedDocument): Erasable => ({
  revision: noted?.revision ?? -1,
  devices: { keys: devices },
  erased: former.tombstone && Tombstone.decode(former.tombstone),
  epoch: former.epoch && Epoch.decode(former.epoch),
  stateVector: () => noted?.stateVector ?? NOTHING_WRITTEN,
});

export class Tombstone {
  private readonly content: Content;

  /** What a date counts as that was made before (P9). */
  private readonly past: (date: number) => number;

  private constructor(content: Content, past: (date: number) => number = (date) => date) {
    this.content = content;
    this.past = past;
  }

  static of(document: Erasable, now: number): Tombstone {
    const old = document.erased?.content;
    const salt = old?.salt ?? randomBytes(HASH_BYTES);
    const hashes = document.devices.keys.map((device) => hashed(salt, device));
    const clients = Y.decodeStateVector(document.stateVector()).keys();
    return new Tombstone({
      at: now,
      revision: Math.max(document.revision, old?.revision ?? -1) + 1,
      salt,
      clients: sortedIds(old?.clients ?? [], document.epoch?.retired ?? [], clients),
      devices: new Set([...(old?.devices ?? []), ...hashes]),
    });
  }

  /** No two erasures have the same: where nothing is known of the one before, the salt is another one. */
  get id(): string {
    const { salt, revision } = this.content;
    return `${Buffer.from(salt).toString('hex')}/${revision}`;
  }

  /** How many clients the erased documents had. */
  get size(): number {
    return this.content.clients.length;
  }

  /** Whether a revision is one of what was erased. */
  covers(revision: number): boolean {
    return revision < this.content.revision;
  }

  /** Whether the erased documents had something of this client. */
  retires(client: number): boolean {
    return hasId(this.content.clients, client);
  }

  /** Refuses an update that has, deletes or builds on something of the erased clients. */
  checkUpdate({ ranges, needs }: Pick<UpdateScan, 'ranges' | 'needs'>): void {
    this.#checkClients(ranges.map(({ client }) => client));
    this.#checkClients(needs.keys());
  }

  /** Refuses a device that still has something of the erased document. */
  checkStateVector(stateVector: ReadonlyMap<number, number>): void {
    this.#checkClients(stateVector.keys());
  }

  #checkClients(clients: Iterable<number>): void {
    for (const client of clients) if (this.retires(client)) throw new SyncError('ERASED');
  }

  /**
   * Refuses a write of a JSON device that was made before the erasure, or, of a device that was there before, one
   * that was not certainly made after it had read the document as it is since.
   */
  checkWrite(
    { device, madeAt, replay }: Pick<WriteContext, 'device' | 'madeAt' | 'replay'>,
    index?: number,
  ): void {
    const isOld = madeAt !== null && madeAt < this.past(this.content.at);
    if (isOld || (this.#knows(device) && !this.#hasCleared(device, madeAt, replay))) {
      throw new SyncError('ERASED', undefined, index === undefined ? {} : { index });
    }
  }

  /** A queue that says no times is trusted once the device had the time to flush what was in it before. */
  #hasCleared(device: DeviceState, madeAt: number | null, replay: boolean): boolean {
    const { syncedFrom } = device;
    if (syncedFrom === null) return false;
    if (madeAt !== null) return madeAt >= this.past(syncedFrom);
    return !replay || device.hasFlushed;
  }

  /** The same, told instead of thrown. */
  refusalOf(write: Pick<WriteContext, 'device' | 'madeAt' | 'replay'>): SyncError | null {
    try {
      this.checkWrite(write);
      return null;
    } catch (error) {
      if (error instanceof SyncError) return error;
      throw error;
    }
  }

  #knows({ key }: DeviceState): boolean {
    return this.content.devices.has(hashed(this.content.salt, key));
  }

  encode(): Uint8Array {
    const { at, revision, salt, clients, devices } = this.content;
    return encoding.encode((encoder) => {
      encoding.writeVarUint(encoder, VERSION);
      encoding.writeVarUint(encoder, Math.max(0, Math.floor(at)));
      encoding.writeVarUint(encoder, revision);
      encoding.writeVarUint8Array(encoder, salt);
      encoding.writeVarUint(encoder, clients.length);
      for (const client of clients) {
        encoding.writeVarUint(encoder, client);
        encoding.writeVarUint(encoder, NO_CLOCK);
      }
      encoding.writeVarUint(encoder, devices.size);
      for (const hash of devices) encoding.writeVarUint8Array(encoder, Buffer.from(hash, 'hex'));
    });
  }

  static decode(bytes: Uint8Array, past?: (date: number) => number): Tombstone {
    const decoder = decoding.createDecoder(bytes);
    const number = () => decoding.readVarUint(decoder);
    const bytesOf = () => decoding.readVarUint8Array(decoder);
    const list = <T>(read: () => T) => Array.from({ length: number() }, read);
    number(); // the version; there is one
    const content = {
      at: number(),
      revision: number(),
      salt: bytesOf(),
      clients: clientsOf(number),
      devices: new Set(list(() => Buffer.from(bytesOf()).toString('hex'))),
    };
    return new Tombstone(content, past);
  }
}

function clientsOf(number: () => number): Float64Array {
  const clients = new Float64Array(number());
  for (let at = 0; at < clients.length; at++) {
    clients[at] = number();
    number(); // its clock
  }
  return clients.sort();
}

const hashed = (salt: Uint8Array, device: string): string =>
  createHmac('sha256', salt).update(device).digest().subarray(0, HASH_BYTES).toString('hex');
