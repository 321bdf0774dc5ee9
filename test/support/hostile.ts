import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';
import { seededRandom } from '../../client/testing/chance.js';

/** Updates that a server must refuse, or survive. Client ids are fixed, so that every run sends the same bytes. */

const CLIENT = 4242;

function docOf(client = CLIENT): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = client;
  return doc;
}

function updateOf(fill: (doc: Y.Doc) => void): Uint8Array {
  const doc = docOf();
  doc.transact(() => fill(doc));
  return Y.encodeStateAsUpdate(doc);
}

/** Every strict prefix of an update, the empty one included. */
export function* truncations(update: Uint8Array): Generator<Uint8Array> {
  for (let length = 0; length < update.length; length++) yield update.slice(0, length);
}

export const v2Of = (doc: Y.Doc): Uint8Array => Y.encodeStateAsUpdateV2(doc);

export { seededRandom };

export function randomBytes(seed: number, length: number): Uint8Array {
  const random = seededRandom(seed);
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}

/** A root `notes` that is an array. */
export const rootOfAnotherKind = (): Uint8Array => updateOf((doc) => doc.getArray('notes').push(['a note']));

/** A key `__proto__` in a map that lies `levels` maps below a collection; 0 is the collection itself. */
export function protoKey(levels: number): Uint8Array {
  return updateOf((doc) => {
    let map = doc.getMap<unknown>('patients');
    for (let i = 0; i < levels; i++) {
      const child = new Y.Map<unknown>();
      map.set(`level ${i}`, child);
      map = child;
    }
    map.set('__proto__', 'polluted');
  });
}

/** A collection named `__proto__`. */
export const protoRoot = (): Uint8Array => updateOf((doc) => doc.getMap('__proto__').set('p1', true));

/** A plain object with a key `__proto__`, stored as one value. */
export const protoInValue = (): Uint8Array =>
  updateOf((doc) => doc.getMap('patients').set('p1', [JSON.parse('{"ok":{"__proto__":{"admin":true}}}')]));

/** The same in the JSON of an embed. */
export const protoInEmbed = (): Uint8Array =>
  updateOf((doc) => {
    const text = new Y.Text();
    doc.getMap('patients').set('p1', text);
    text.insertEmbed(0, JSON.parse('{"__proto__":{"admin":true}}'));
  });

/** A chain of `depth` nested maps, and the deletion of its first one: Yjs deletes by recursion. */
export function deepThenDelete(depth: number): [create: Uint8Array, remove: Uint8Array] {
  const create = updateOf((doc) => {
    let map = doc.getMap<unknown>('patients');
    for (let i = 0; i < depth; i++) {
      const child = new Y.Map<unknown>();
      map.set('a', child);
      map = child;
    }
  });
  // Written by hand, since the author's own document would not survive the deletion either.
  return [create, rawUpdate([], [[CLIENT, [[0, 1]]]])];
}

/** One value of `depth` nested arrays. */
export const deepValue = (depth: number): Uint8Array => {
  const value = new Uint8Array(2 * depth + 1);
  for (let i = 0; i < depth; i++) value.set([117, 1], 2 * i);
  value[2 * depth] = 126;
  return rawUpdate([[CLIENT, 0, [rootItem(8, [1, ...value])]]]);
};

export const subdocument = (): Uint8Array =>
  updateOf((doc) => doc.getMap('patients').set('p1', new Y.Doc({ guid: 'sub' })));

/** Two structs of two clients, each of which has the other as its origin: Yjs would wait for ever. */
export const cycle = (): Uint8Array =>
  rawUpdate([
    [1, 0, [[0x88, ...varUint(2), ...varUint(0), 1, 126]]],
    [2, 0, [[0x88, ...varUint(1), ...varUint(0), 1, 126]]],
  ]);

/**
 * A collected struct, and an item of the same client that begins with the same clocks and goes beyond them.
 * Both pass the scan; Yjs throws on the second one, in the middle of its transaction.
 */
export const overlapOfCollected = (): [first: Uint8Array, second: Uint8Array] => [
  rawUpdate([[CLIENT, 0, [[0, 12]]]]),
  rawUpdate([[CLIENT, 0, [rootItem(1, [20])]]]),
];

/** A struct whose origin is itself. */
export const selfReference = (): Uint8Array =>
  rawUpdate([[CLIENT, 0, [[0x88, ...varUint(CLIENT), ...varUint(0), 1, 126]]]]);

/** A count of structs that is encoded without end. */
export const endlessNumber = (): Uint8Array => new Uint8Array(200).fill(0x80);

export const varUint = (value: number): Uint8Array =>
  encoding.encode((encoder) => encoding.writeVarUint(encoder, value));

const varText = (text: string): Uint8Array =>
  encoding.encode((encoder) => encoding.writeVarString(encoder, text));

/** Bytes of an item under the key `key` of the root `root`, with the given content. */
export const rootItem = (
  kind: number,
  content: Iterable<number>,
  key = 'p1',
  root = 'patients',
): number[] => [kind | 0x20, 1, ...varText(root), ...varText(key), ...content];

type RawSection = [client: number, clock: number, structs: Iterable<number>[]];
type RawDeletions = [client: number, ranges: [clock: number, length: number][]];

/** An update put together byte by byte, right or wrong. */
export function rawUpdate(sections: RawSection[], deletions: RawDeletions[] = []): Uint8Array {
  return encoding.encode((encoder) => {
    const uint = (value: number): void => encoding.writeVarUint(encoder, value);
    uint(sections.length);
    for (const [client, clock, structs] of sections) {
      [structs.length, client, clock].forEach(uint);
      for (const struct of structs) encoding.writeUint8Array(encoder, Uint8Array.from(struct));
    }
    uint(deletions.length);
    for (const [client, ranges] of deletions) {
      [client, ranges.length, ...ranges.flat()].forEach(uint);
    }
  });
}

/** Those that the scan refuses, by name. */
export const refusedUpdates = (): Record<string, Uint8Array> => ({
  'root of another kind': rootOfAnotherKind(),
  'reserved key in a collection': protoKey(0),
  'reserved key in a nested map': protoKey(3),
  'reserved collection': protoRoot(),
  'reserved key in a value': protoInValue(),
  'reserved key in an embed': protoInEmbed(),
  'sub-document': subdocument(),
  'value of 10,000 levels': deepValue(10_000),
  'struct that refers to itself': selfReference(),
  'endless number': endlessNumber(),
});
