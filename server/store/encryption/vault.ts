import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
  randomFillSync,
} from 'node:crypto';
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { corrupt } from '../../errors.js';
import * as format from '../format.js';
import { KEY_BYTES, type KeyRing } from './key-ring.js';

/**
 * How the values of one user are stored: with a checksum, or encrypted. Both cover the key of the database, which
 * names user, kind and position: a value that turns up in another place is found.
 */
export interface Vault {
  /** Whether a state vector is stored as y-leveldb does, without a checksum. */
  readonly takesBare: boolean;
  seal(value: Uint8Array, key: Uint8Array): Buffer;
  /** `undefined` when the value is damaged, or is that of another place. */
  unseal(sealed: Uint8Array, key: Uint8Array): Uint8Array | undefined;
  namedKey(kind: format.NamedKind, user: string, name: string): Buffer;
  sealNamed(value: Uint8Array, key: Uint8Array, name: string): Buffer;
  unsealNamed(sealed: Uint8Array, key: Uint8Array, kind: format.NamedKind, user: string): Named | undefined;
  /** What has to be stored for the vault to be found again, with the first change; then `null`. */
  takeWrapped(): Buffer | null;
}

export interface Named {
  readonly name: string;
  readonly value: Uint8Array;
}

/** Finds the vault of a user by what is stored of it. */
export interface Vaults {
  /** The master keys; `null` where values are not encrypted. */
  readonly ring: KeyRing | null;
  /** For what belongs to no user. */
  readonly none: Vault;
  of(user: string, wrapped: Uint8Array | undefined): Vault;
}

const CHECKSUMS: Vault = {
  takesBare: true,
  seal: format.seal,
  unseal: format.unseal,
  namedKey: format.namedKey,
  sealNamed: (value, key) => format.seal(value, key),
  unsealNamed(sealed, key, kind, user) {
    const value = format.unseal(sealed, key);
    return value && { name: format.nameOf(key, kind, user), value };
  },
  takeWrapped: () => null,
};

/** Values as y-leveldb reads them, with a checksum. */
export const plainVaults: Vaults = { ring: null, none: CHECKSUMS, of: () => CHECKSUMS };

/** Values encrypted with a key per user, which is stored wrapped by the current master key. */
export class CipherVaults implements Vaults {
  readonly none = CHECKSUMS;
  ring: KeyRing;

  constructor(ring: KeyRing) {
    this.ring = ring;
  }

  of(user: string, wrapped: Uint8Array | undefined): Vault {
    const place = format.wrappedKey(user);
    if (wrapped === undefined) {
      const dataKey = randomBytes(KEY_BYTES);
      return new CipherVault(dataKey, () => this.ring.wrap(dataKey, place));
    }
    const dataKey = this.ring.unwrap(wrapped, place);
    if (dataKey === undefined) throw corrupt("the user's key is damaged");
    return new CipherVault(dataKey, null);
  }
}

const VERSION = 1;
const NONCE = 12;
const TAG = 16;
const OVERHEAD = 1 + NONCE + TAG;

/**
 * AES-256-GCM: version, nonce, what is encrypted, tag. Nonces are random: one key may seal 2^32 values before the
 * chance that two of them met is 2^-33, which is a hundred edits a second for more than half a year.
 */
class CipherVault implements Vault {
  readonly takesBare = false;
  readonly #values: KeyObject;
  readonly #names: KeyObject;
  /** With the master key that is current when it is stored. */
  #wrap: (() => Buffer) | null;

  constructor(dataKey: Buffer, wrap: (() => Buffer) | null) {
    this.#values = derived(dataKey, 'values');
    this.#names = derived(dataKey, 'names');
    this.#wrap = wrap;
  }

  takeWrapped(): Buffer | null {
    const wrapped = this.#wrap?.() ?? null;
    this.#wrap = null;
    return wrapped;
  }

  seal(value: Uint8Array, key: Uint8Array): Buffer {
    const sealed = Buffer.allocUnsafe(value.length + OVERHEAD);
    sealed[0] = VERSION;
    const nonce = nextNonce();
    sealed.set(nonce, 1);
    const cipher = createCipheriv('aes-256-gcm', this.#values, nonce).setAAD(key);
    sealed.set(cipher.update(value), 1 + NONCE);
    cipher.final();
    sealed.set(cipher.getAuthTag(), 1 + NONCE + value.length);
    return sealed;
  }

  unseal(sealed: Uint8Array, key: Uint8Array): Uint8Array | undefined {
    const length = sealed.length - OVERHEAD;
    if (length < 0 || sealed[0] !== VERSION) return undefined;
    const nonce = sealed.subarray(1, 1 + NONCE);
    const cipher = createDecipheriv('aes-256-gcm', this.#values, nonce, { authTagLength: TAG });
    cipher.setAAD(key).setAuthTag(sealed.subarray(sealed.length - TAG));
    const value = cipher.update(sealed.subarray(1 + NONCE, 1 + NONCE + length));
    try {
      cipher.final();
    } catch {
      return undefined;
    }
    return new Uint8Array(value.buffer, value.byteOffset, value.length);
  }

  /** The name would be there for all to read: the key has only a keyed hash of it. */
  namedKey(kind: format.NamedKind, user: string, name: string): Buffer {
    const hash = createHmac('sha256', this.#names).update(`${kind}!${name}`).digest();
    return format.namedKey(kind, user, hash.toString('base64url', 0, 16));
  }

  sealNamed(value: Uint8Array, key: Uint8Array, name: string): Buffer {
    const encoder = encoding.createEncoder();
    encoding.writeVarString(encoder, name);
    encoding.writeUint8Array(encoder, value);
    return this.seal(encoding.toUint8Array(encoder), key);
  }

  unsealNamed(sealed: Uint8Array, key: Uint8Array): Named | undefined {
    const bytes = this.unseal(sealed, key);
    if (bytes === undefined) return undefined;
    const decoder = decoding.createDecoder(bytes);
    const name = decoding.readVarString(decoder);
    return { name, value: decoding.readTailAsUint8Array(decoder) };
  }
}

const derived = (dataKey: Buffer, purpose: string): KeyObject =>
  createSecretKey(createHmac('sha256', dataKey).update(purpose).digest());

/** Random bytes come a few hundred nonces at a time: each call for some costs as much as encrypting a value. */
const pool = Buffer.alloc(NONCE * 256);
let taken = pool.length;
function nextNonce(): Buffer {
  if (taken === pool.length) {
    randomFillSync(pool);
    taken = 0;
  }
  taken += NONCE;
  return pool.subarray(taken - NONCE, taken);
}
