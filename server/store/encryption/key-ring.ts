import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';

/** The master keys of a server: the first one is current, the others only open what was made with them. */
export const KEY_BYTES = 32;
const ID_LENGTH = 8;
const NONCE = 12;
const TAG = 16;

export interface MasterKey {
  /** Derived from the key, so that no key can pass for another one. It tells nothing of the key. */
  readonly id: string;
  readonly secret: KeyObject;
}

/** A sentence that names what is wrong with a key, and never the key. */
export class KeyError extends Error {}

/** 32 bytes as base64, base64url or 64 hexadecimal digits; `null` for anything else. */
export function decodeKey(text: string): Uint8Array | null {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === KEY_BYTES ? bytes : null;
}

export const newKey = (): string => randomBytes(KEY_BYTES).toString('base64');

export function idOf(bytes: Uint8Array): string {
  return createHmac('sha256', bytes).update('telemed-sync key id').digest('hex').slice(0, ID_LENGTH);
}

export class KeyRing {
  readonly current: MasterKey;
  readonly #keys: ReadonlyMap<string, MasterKey>;

  private constructor(current: MasterKey, keys: ReadonlyMap<string, MasterKey>) {
    this.current = current;
    this.#keys = keys;
  }

  /**
   * One key per line, the current one first; `#` begins a comment.
   *
   * @throws KeyError
   */
  static parse(text: string): KeyRing {
    const keys = keyLines(text).map(({ number, key }) => {
      const bytes = decodeKey(key);
      if (bytes === null) throw new KeyError(`Line ${number} is not a key: 32 bytes as base64 or hex.`);
      return { id: idOf(bytes), secret: createSecretKey(bytes) };
    });
    const [current] = keys;
    if (current === undefined) throw new KeyError('There is no key.');
    return new KeyRing(current, new Map(keys.map((key) => [key.id, key])));
  }

  get ids(): readonly string[] {
    return [...this.#keys.keys()];
  }

  has(id: string): boolean {
    return this.#keys.has(id);
  }

  /** The same keys, of which this one is current. */
  withCurrent(id: string): KeyRing {
    const current = [...this.#keys.values()].find((key) => key.id === id);
    if (current === undefined) throw new KeyError(`There is no key ${id}.`);
    return new KeyRing(current, this.#keys);
  }

  /** A data key, readable with the current master key only, and only at this place. */
  wrap(dataKey: Uint8Array, place: Uint8Array): Buffer {
    const { id, secret } = this.current;
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(bound(id, place));
    return Buffer.concat([
      Buffer.from(id),
      nonce,
      cipher.update(dataKey),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
  }

  /** `undefined` where the bytes are damaged, or its master key is not here. */
  unwrap(wrapped: Uint8Array, place: Uint8Array): Buffer | undefined {
    const id = wrappedWith(wrapped);
    const secret = this.#keys.get(id)?.secret;
    if (secret === undefined || wrapped.length !== ID_LENGTH + NONCE + KEY_BYTES + TAG) return undefined;
    const body = wrapped.subarray(ID_LENGTH + NONCE);
    const cipher = createDecipheriv('aes-256-gcm', secret, wrapped.subarray(ID_LENGTH, ID_LENGTH + NONCE));
    cipher.setAAD(bound(id, place)).setAuthTag(body.subarray(KEY_BYTES));
    try {
      return Buffer.concat([cipher.update(body.subarray(0, KEY_BYTES)), cipher.final()]);
    } catch {
      return undefined;
    }
  }
}

/** The id of the master key that a data key was wrapped with. */
export const wrappedWith = (wrapped: Uint8Array): string =>
  Buffer.from(wrapped.subarray(0, ID_LENGTH)).toString('latin1');

const bound = (id: string, place: Uint8Array): Buffer => Buffer.concat([Buffer.from(id), place]);

/** The lines of a key file that hold a key, without their comments. */
export const keyLines = (text: string): { number: number; key: string }[] =>
  text
    .split(/\r?\n/)
    .map((line, index) => ({ number: index + 1, key: line.replace(/#.*/, '').trim() }))
    .filter(({ key }) => key !== '');
