/** What comes from a JSON device, until it is a message: how large it may be, its form, its type (L10, L12). */

import { isObject } from '../../../shared/json.js';
import type { UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';
import { MAX_CONTAINERS, SMALL, shapeProblem } from '../../protocol/body-shape.js';
import { ackOf, checkMessage, type JsonMessage, parseJson } from '../../protocol/json.js';
import { ackAround } from './ack.js';

/** A message beyond this many times the limit ends the connection. */
export const JSON_LIMIT_FACTOR = 16;
/** Types of its own that an app may go on sending; one that has more of them makes them up. */
const MAX_TYPES = 16;
const LONGEST_TYPE = 64;

export interface ReaderOptions {
  readonly user: UserId;
  readonly maxDepth: number;
}

export interface Refused {
  readonly error: SyncError;
  /** That of the message, where it can be read. */
  readonly ack: string | undefined;
  /** The connection was told before that this type is not known. */
  readonly isOldNews: boolean;
  /** So large that the connection has to end. */
  readonly isFatal: boolean;
}

export type Incoming = { readonly message: JsonMessage } | Refused;

const utf8 = new TextDecoder('utf-8', { fatal: true });

export class MessageReader {
  readonly #options: ReaderOptions;
  /** Made with the first one, as most devices send none. */
  #strangeTypes: Set<string> | null = null;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** @param limit of this device, in bytes */
  read(raw: string | Uint8Array, limit: number): Incoming {
    const size = Buffer.byteLength(raw);
    if (size > limit) {
      const error = new SyncError(
        'MESSAGE_TOO_LARGE',
        `The message is larger than MAX_JSON_MESSAGE allows, ${limit} bytes.`,
      );
      return refused(error, { ack: ackAround(raw), isFatal: size > limit * JSON_LIMIT_FACTOR });
    }
    let value: unknown;
    try {
      value = this.#parse(raw, size);
      return { message: checkMessage(value, this.#options.user, this.#options) };
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      const isOldNews = error.code === 'UNKNOWN_TYPE' && this.#isOldNews(value);
      return refused(error, { ack: ackOf(value), isOldNews });
    }
  }

  #parse(raw: string | Uint8Array, size: number): unknown {
    const bytes = typeof raw === 'string' && size > SMALL ? Buffer.from(raw) : raw;
    const problem = typeof bytes === 'string' ? null : shapeProblem(bytes, this.#options.maxDepth);
    if (problem === 'entity.too.deep') throw new SyncError('TOO_DEEP');
    if (problem !== null) {
      throw new SyncError(
        'MESSAGE_TOO_LARGE',
        `The message has more than ${MAX_CONTAINERS} objects and arrays.`,
      );
    }
    return parseJson(typeof raw === 'string' ? raw : decoded(raw));
  }

  /** An app may have messages of its own, such as a ping, that it goes on sending; they are few. */
  #isOldNews(value: unknown): boolean {
    const type = isObject(value) ? value.type : undefined;
    if (typeof type !== 'string' || type.length > LONGEST_TYPE) return false;
    this.#strangeTypes ??= new Set();
    if (this.#strangeTypes.has(type)) return true;
    if (this.#strangeTypes.size < MAX_TYPES) this.#strangeTypes.add(type);
    return false;
  }
}

function decoded(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new SyncError('INVALID_JSON', 'The binary message is not JSON in UTF-8.');
  }
}

const refused = (error: SyncError, more: Partial<Refused>): Refused => ({
  error,
  ack: undefined,
  isOldNews: false,
  isFatal: false,
  ...more,
});
