import { nameProblem, storedNameProblem } from '../../shared/names.js';
import { ByteReader, decodeUtf8, malformed, parseJson, quoted, tooCostly } from './bytes.js';

export interface ValueLimits {
  /** How deep objects and arrays may nest inside one value; 0 leaves only `VALUE_DEPTH_CEILING`. */
  readonly maxDepth: number;
}

/** Yjs reads and writes nested values by recursion; up to here that can't exhaust the stack. */
export const VALUE_DEPTH_CEILING = 500;

/**
 * Values in all the JSON of an update, in formats, embeds and what old versions of Yjs wrote. Their parsing can't
 * be interrupted; 100,000 take some 10 ms.
 */
const MAX_JSON_VALUES = 100_000;

/** Each takes memory until the document was asked for it. */
const MAX_ODD_NAMES = 10_000;

const RESERVED_KEY = /^(?:__proto__|constructor|prototype)$/;
const mayBeReserved = (length: number): boolean => length === 9 || length === 11;

/** Passes names and values of an update. Without limits only their form is checked, not the rules for clients. */
export class ValueReader extends ByteReader {
  readonly strict: boolean;
  /** Names that may stay where a document has them already, with the sentence for where it has not. */
  readonly oddNames = new Map<string, string>();
  /** Values that were passed so far, at every level. */
  values = 0;
  #jsonValues = 0;
  private readonly maxDepth: number;

  constructor(bytes: Uint8Array, limits: ValueLimits | null) {
    super(bytes);
    this.strict = limits !== null;
    this.maxDepth = Math.min(limits?.maxDepth || VALUE_DEPTH_CEILING, VALUE_DEPTH_CEILING);
  }

  /** The name of a root or of an entry of a map. */
  name(what: string): void {
    const start = this.pos;
    const length = this.skipText();
    if (!this.strict || this.isPlain(start, length)) return;
    const name = this.textAt(start);
    const problem = nameProblem(name);
    if (problem === null) return;
    const sentence = `${what} ${quoted(name)} ${problem}.`;
    if (storedNameProblem(name) !== null) malformed(sentence);
    this.oddNames.set(name, sentence);
    if (this.oddNames.size > MAX_ODD_NAMES) malformed(sentence);
  }

  /** The key of a plain object or of a text format. */
  key(): void {
    const start = this.pos;
    const length = this.skipText();
    if (this.strict && mayBeReserved(length)) checkKey(this.textAt(start));
  }

  /** A value in lib0's "any" encoding; the recursion is bounded by `maxDepth`. */
  any(depth = 0): void {
    const tag = this.byte();
    this.values++;
    switch (tag) {
      case 127: // undefined
      case 126: // null
      case 121: // false
      case 120: // true
        break;
      case 125:
        this.skipInt();
        break;
      case 124: // float32
        this.skip(4);
        break;
      case 123: // float64
      case 122: // bigint
        this.skip(8);
        break;
      case 119:
        this.skipText();
        break;
      case 118: // object
      case 117: // array
        this.container(tag === 118, depth + 1);
        break;
      case 116: // bytes
        this.skip(this.uint());
        break;
      default:
        malformed('A value is of an unknown kind.');
    }
  }

  json(): void {
    this.checkJson(parseJson(this.jsonText()));
  }

  /** An element of an array of JSON values, where Yjs has a word of its own for undefined. */
  jsonElement(): void {
    const text = this.jsonText();
    if (text !== 'undefined') this.checkJson(parseJson(text));
  }

  /** Only what is neither too deep nor too rich is parsed: that makes an object for every value. */
  private jsonText(): string {
    const block = this.block();
    const { depth, values } = jsonShape(block);
    this.checkDepth(depth);
    this.values += values;
    this.#jsonValues += values;
    if (this.#jsonValues > MAX_JSON_VALUES) tooCostly(`more than ${MAX_JSON_VALUES} values in JSON`);
    return decodeUtf8(block);
  }

  private container(isObject: boolean, depth: number): void {
    this.checkDepth(depth);
    for (let left = this.count(); left > 0; left--) {
      if (isObject) this.key();
      this.any(depth);
    }
  }

  private checkJson(root: unknown): void {
    let level = [root].filter(isContainer);
    for (let depth = 1; level.length > 0; depth++) {
      this.checkDepth(depth);
      if (this.strict)
        for (const value of level) if (!Array.isArray(value)) Object.keys(value).forEach(checkKey);
      level = level.flatMap((value) => Object.values(value).filter(isContainer));
    }
  }

  private checkDepth(depth: number): void {
    if (depth > this.maxDepth) malformed(`A value is nested deeper than ${this.maxDepth} levels.`);
  }

  /** A fast yes to most names, without decoding: short, printable ASCII, and not as long as a reserved one. */
  private isPlain(start: number, length: number): boolean {
    if (length === 0 || length > 127 || mayBeReserved(length)) return false;
    // Up to 127 bytes the length in front takes one byte; with more bytes than units it isn't ASCII.
    if (this.pos - start !== length + 1) return false;
    for (let pos = start + 1; pos < this.pos; pos++) {
      const byte = this.bytes[pos] ?? 0;
      if (byte < 0x20 || byte > 0x7e) return false;
    }
    return true;
  }
}

function checkKey(key: string): void {
  if (RESERVED_KEY.test(key)) malformed(`Key ${quoted(key)} is reserved.`);
}

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/** How deep a JSON text nests and how many values it has, at most, without parsing it. */
function jsonShape(text: Uint8Array): { depth: number; values: number } {
  let open = 0;
  let depth = 0;
  let values = 1;
  let inString = false;
  for (let pos = 0; pos < text.length; pos++) {
    const byte = text[pos] ?? 0;
    if (byte === QUOTE) inString = !inString;
    else if (inString) pos += byte === BACKSLASH ? 1 : 0;
    // { and [ differ in one bit, and so do } and ].
    else if ((byte | 0x20) === 0x7b) depth = Math.max(depth, ++open);
    else if ((byte | 0x20) === 0x7d) open--;
    if (!inString && (byte === COMMA || (byte | 0x20) === 0x7b)) values++;
  }
  return { depth, values };
}
