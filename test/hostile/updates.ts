/** Updates that cost a Yjs server dear, each small for what it does. Fixed ids: every run sends the same bytes. */
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';

const encode = (write: (uint: (value: number) => void, encoder: encoding.Encoder) => void): Uint8Array =>
  encoding.encode((encoder) => write((value) => encoding.writeVarUint(encoder, value), encoder));

const text = (encoder: encoding.Encoder, value: string): void => encoding.writeVarString(encoder, value);

/** One map item in a collection: a plain value `null`. */
function rootValue(encoder: encoding.Encoder, root: string, key: string): void {
  encoding.writeUint8(encoder, 8 | 0x20);
  encoding.writeVarUint(encoder, 1);
  text(encoder, root);
  text(encoder, key);
  encoding.writeVarUint(encoder, 1);
  encoding.writeUint8(encoder, 126);
}

const NO_DELETIONS = 0;

/** `count` items under keys of their own. */
export const manyStructs = (count: number, client = 900): Uint8Array =>
  encode((uint, encoder) => {
    [1, count, client, 0].forEach(uint);
    for (let i = 0; i < count; i++) rootValue(encoder, 'notes', `k${i.toString(36)}`);
    uint(NO_DELETIONS);
  });

/** `count` clients that each set the same key. */
export const manyClientsOneKey = (count: number): Uint8Array =>
  encode((uint, encoder) => {
    uint(count);
    for (let i = 0; i < count; i++) {
      [1, 10_000 + i, 0].forEach(uint);
      rootValue(encoder, 'notes', 'same');
    }
    uint(NO_DELETIONS);
  });

/** `count` clients that each create a map at the same key. */
export const manyMapsOneKey = (count: number, from = 10_000): Uint8Array =>
  encode((uint, encoder) => {
    uint(count);
    for (let i = 0; i < count; i++) {
      [2, from + i, 0].forEach(uint);
      encoding.writeUint8(encoder, 7 | 0x20);
      uint(1);
      text(encoder, 'notes');
      text(encoder, 'same');
      uint(1);
      encoding.writeUint8(encoder, 8 | 0x20);
      [0, from + i, 0].forEach(uint);
      text(encoder, `field ${i}`);
      uint(1);
      encoding.writeUint8(encoder, 126);
    }
    uint(NO_DELETIONS);
  });

export const manyRoots = (count: number): Uint8Array =>
  encode((uint, encoder) => {
    [1, count, 901, 0].forEach(uint);
    for (let i = 0; i < count; i++) rootValue(encoder, `c${i.toString(36)}`, 'k');
    uint(NO_DELETIONS);
  });

const ARRAY_CLIENT = 902;

/** An array at notes/list, and `count` elements that were pushed one by one and never joined. */
export const mergeable = (count: number): Uint8Array =>
  encode((uint, encoder) => {
    [1, count + 1, ARRAY_CLIENT, 0].forEach(uint);
    arrayItem(uint, encoder);
    for (let i = 0; i < count; i++) {
      if (i === 0) {
        encoding.writeUint8(encoder, 8);
        [0, ARRAY_CLIENT, 0].forEach(uint);
      } else {
        encoding.writeUint8(encoder, 8 | 0x80);
        [ARRAY_CLIENT, i].forEach(uint);
      }
      uint(1);
      encoding.writeUint8(encoder, 126);
    }
    uint(NO_DELETIONS);
  });

function arrayItem(uint: (value: number) => void, encoder: encoding.Encoder): void {
  encoding.writeUint8(encoder, 7 | 0x20);
  uint(1);
  text(encoder, 'notes');
  text(encoder, 'list');
  uint(0);
}

/** The same array, its elements in one struct: a byte each. */
export const largeArray = (count: number): Uint8Array =>
  encode((uint, encoder) => {
    [1, 2, ARRAY_CLIENT, 0].forEach(uint);
    arrayItem(uint, encoder);
    encoding.writeUint8(encoder, 8);
    [0, ARRAY_CLIENT, 0].forEach(uint);
    uint(count);
    for (let i = 0; i < count; i++) encoding.writeUint8(encoder, 126);
    uint(NO_DELETIONS);
  });

/** Deletes every other element of it, `count` in all. */
export const scatteredDeletions = (count: number, length: number): Uint8Array =>
  encode((uint) => {
    [0, 1, ARRAY_CLIENT, count].forEach(uint);
    const step = Math.floor(length / count);
    for (let i = count - 1; i >= 0; i--) [1 + i * step, 1].forEach(uint);
  });

/** The whole of it deleted, `count` times. */
export const sameDeletion = (count: number, length: number): Uint8Array =>
  encode((uint) => {
    [0, 1, ARRAY_CLIENT, count].forEach(uint);
    for (let i = 0; i < count; i++) [1, length].forEach(uint);
  });

/** `count` elements inserted inside of it, each at another place: every one cuts it. */
export const splitBomb = (count: number, length: number, client = 903): Uint8Array =>
  encode((uint, encoder) => {
    [1, count, client, 0].forEach(uint);
    const step = Math.floor(length / count);
    for (let i = count; i > 0; i--) {
      encoding.writeUint8(encoder, 8 | 0xc0);
      [ARRAY_CLIENT, i * step - 1, ARRAY_CLIENT, i * step, 1].forEach(uint);
      encoding.writeUint8(encoder, 126);
    }
    uint(NO_DELETIONS);
  });

/** `count` clients that each insert behind the same element of an array. */
export const manyClientsOnePlace = (count: number): Uint8Array =>
  encode((uint, encoder) => {
    uint(count);
    for (let i = 0; i < count; i++) {
      [1, 20_000 + i, 0].forEach(uint);
      encoding.writeUint8(encoder, 8 | 0x80);
      [ARRAY_CLIENT, 1, 1].forEach(uint);
      encoding.writeUint8(encoder, 126);
    }
    uint(NO_DELETIONS);
  });

/** A chain of maps in an own key, `from` (included) to `to` levels (excluded) below a collection. */
export const chain = (from: number, to: number, client = 904): Uint8Array =>
  encode((uint, encoder) => {
    [1, to - from, client, from].forEach(uint);
    for (let level = from; level < to; level++) {
      encoding.writeUint8(encoder, 7 | 0x20);
      if (level === 0) {
        uint(1);
        text(encoder, 'notes');
      } else [0, client, level - 1].forEach(uint);
      text(encoder, 'deep');
      uint(1);
    }
    uint(NO_DELETIONS);
  });

/**
 * A chain of maps, each of a client of its own and standing before the one that it lies in: the deepest first.
 */
export const chainChildFirst = (depth: number): Uint8Array =>
  encode((uint, encoder) => {
    uint(depth);
    for (let level = depth - 1; level >= 0; level--) {
      [1, 30_000 + level, 0].forEach(uint);
      encoding.writeUint8(encoder, 7 | 0x20);
      if (level === 0) {
        uint(1);
        text(encoder, 'notes');
      } else [0, 30_000 + level - 1, 0].forEach(uint);
      text(encoder, 'deep');
      uint(1);
    }
    uint(NO_DELETIONS);
  });

/** One value: an array of `count` empty objects, two bytes each. */
export const manyValues = (count: number): Uint8Array =>
  encode((uint, encoder) => {
    [1, 1, 905, 0].forEach(uint);
    encoding.writeUint8(encoder, 8 | 0x20);
    uint(1);
    text(encoder, 'notes');
    text(encoder, 'values');
    uint(1);
    encoding.writeUint8(encoder, 117);
    uint(count);
    for (let i = 0; i < count; i++) encoding.writeUint8Array(encoder, Uint8Array.of(118, 0));
    uint(NO_DELETIONS);
  });

/** Ranges of what does not exist. */
export const manyDeletions = (count: number): Uint8Array =>
  encode((uint) => {
    [0, 1, 906, count].forEach(uint);
    for (let i = 0; i < count; i++) [2 * i, 1].forEach(uint);
  });

export const manySections = (count: number): Uint8Array =>
  encode((uint, encoder) => {
    uint(count);
    for (let i = 0; i < count; i++) {
      [1, 50_000 + i, 0].forEach(uint);
      encoding.writeUint8(encoder, 0);
      uint(1);
    }
    uint(NO_DELETIONS);
  });

/** A device that was offline for long: records with fields, arrays and texts. */
export function offlineDocument(records: number): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = 950;
  doc.transact(() => {
    for (let i = 0; i < records; i++) {
      const fields = {
        patient: `P${i}`,
        at: `2026-01-01T00:${i}`,
        room: i % 40,
        note: `words and words ${i}`,
      };
      const record = new Y.Map<unknown>(Object.entries(fields));
      record.set('tags', Y.Array.from(['a', 'b', `c${i}`]));
      doc.getMap('appointments').set(`a${i}`, record);
    }
  });
  return Y.encodeStateAsUpdate(doc);
}
