import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as Y from 'yjs';
import { SyncError } from '../../../server/errors.js';
import { scanUpdate, type UpdateScan, updateLength } from '../../../server/protocol/scan.js';
import { docsOf, edits, updatesOf } from '../../support/edited-docs.js';
import {
  protoKey,
  randomBytes,
  rawUpdate,
  rootOfAnotherKind,
  seededRandom,
  subdocument,
  truncations,
  v2Of,
} from '../../support/hostile.js';
import { expectMalformed, refusal } from '../../support/refusal.js';
import { runs } from '../../support/runs.js';

const LIMITS = { maxDepth: 64 };
const scan = (update: Uint8Array): UpdateScan => scanUpdate(update, LIMITS);

/** What the scan should find, from Yjs's own decoder. */
function expectedScan(update: Uint8Array): Omit<UpdateScan, 'values' | 'oddNames'> {
  const { structs, ds } = Y.decodeUpdate(update);
  const needs = new Map<number, number>();
  const roots = new Set<string>();
  const need = (client: number, clock: number): void => {
    needs.set(client, Math.max(needs.get(client) ?? 0, clock));
  };
  const ranges: { client: number; from: number; to: number }[] = [];
  for (const struct of structs) {
    const { client, clock } = struct.id;
    if (struct instanceof Y.Item) {
      for (const id of [struct.origin, struct.rightOrigin, struct.parent]) {
        if (id instanceof Y.ID) need(id.client, id.clock + 1);
        else if (typeof id === 'string') roots.add(id);
      }
    }
    if (struct instanceof Y.Skip) continue;
    const last = ranges.at(-1);
    if (last?.client === client && last.to === clock) last.to += struct.length;
    else ranges.push({ client, from: clock, to: clock + struct.length });
  }
  let deleteRanges = 0;
  for (const [client, items] of ds.clients) {
    deleteRanges += items.length;
    for (const { clock, len } of items) need(client, clock + len);
  }
  const empty = ranges.length + deleteRanges === 0;
  return { structs: structs.length, deleteRanges, ranges, needs, empty, roots };
}

function clinic(): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = 7;
  const record = new Y.Map<unknown>();
  doc.getMap('patients').set('p1', record);
  record.set('name', 'Zoë 👩‍⚕️ 漢字');
  record.set('photo', new Uint8Array([1, 2, 255]));
  record.set('value', { list: [1, -1.5, 2 ** 40, -70, true, null, undefined, 10n, { deep: ['x'] }] });
  record.set('tags', Y.Array.from(['a', 'b', 'c']));
  const text = new Y.Text('dose twice a day');
  record.set('notes', text);
  text.format(0, 4, { bold: true, link: { href: 'x' } });
  text.insertEmbed(3, { image: 'x.png' });
  const xml = new Y.XmlFragment();
  record.set('xml', xml);
  const element = new Y.XmlElement('p');
  xml.insert(0, [element, new Y.XmlText('hi')]);
  record.set('hook', new Y.XmlHook('hook'));
  element.setAttribute('class', 'big');
  record.set('gone', new Y.Map([['a', 1]]));
  record.delete('gone');
  text.delete(2, 5);
  return doc;
}

describe('scanUpdate on what Yjs writes', () => {
  it('[S1] takes every kind of content and finds what Yjs finds', () => {
    const update = Y.encodeStateAsUpdate(clinic());
    expect(scan(update)).toMatchObject(expectedScan(update));
    expect(updateLength(update)).toBe(update.length);
  });

  it('[S1] agrees with Yjs on generated documents, their merges, diffs and gaps', () => {
    fc.assert(
      fc.property(edits, (made) => {
        for (const update of updatesOf(docsOf(made))) {
          expect(scan(update)).toMatchObject(expectedScan(update));
          expect(updateLength(update)).toBe(update.length);
        }
      }),
      { numRuns: runs(150) },
    );
  });

  it('[S1] tells a Skip from what the update brings', () => {
    const doc = new Y.Doc();
    doc.clientID = 9;
    const parts: Uint8Array[] = [];
    doc.on('update', (update: Uint8Array) => parts.push(update));
    for (const key of ['a', 'b', 'c']) doc.getMap('patients').set(key, key);
    const [first, , third] = parts;
    const { ranges, structs } = scan(
      Y.mergeUpdates([first ?? [], third ?? []].map((part) => Uint8Array.from(part))),
    );
    expect(ranges).toEqual([
      { client: 9, from: 0, to: 1 },
      { client: 9, from: 2, to: 3 },
    ]);
    expect(structs).toBe(3);
  });

  it('[S1] knows an update that brings nothing', () => {
    expect(scan(Y.encodeStateAsUpdate(new Y.Doc())).empty).toBe(true);
    expect(scan(rawUpdate([[1, 0, [[10, 5]]]])).empty).toBe(true);
    expect(scan(rawUpdate([], [[1, [[0, 1]]]])).empty).toBe(false);
    expect(scan(rawUpdate([[1, 0, [[0, 5]]]])).empty).toBe(false);
  });

  it('[P1] measures an update with something behind it', () => {
    const update = Y.encodeStateAsUpdate(clinic());
    const stored = new Uint8Array(update.length + 5).fill(0xff);
    stored.set(update);
    expect(updateLength(stored)).toBe(update.length);
    expect(updateLength(new Uint8Array([0, 0, 0]))).toBe(2);
  });

  it('[P1] measures stored updates that a client may not send', () => {
    for (const update of [rootOfAnotherKind(), subdocument(), protoKey(0)]) {
      expect(updateLength(update)).toBe(update.length);
    }
  });
});

describe('scanUpdate on broken bytes', () => {
  it('[S1] refuses a truncation at every length', () => {
    for (const prefix of truncations(Y.encodeStateAsUpdate(clinic()))) {
      expectMalformed(prefix, /too early|larger than the data/);
      expect(refusal(() => updateLength(prefix)).code).toBe('MALFORMED_UPDATE');
    }
  });

  it('[S1] refuses 1 to 3 bytes after the end', () => {
    const update = Y.encodeStateAsUpdate(clinic());
    for (const extra of [[0], [0, 0], [1, 2, 3]]) {
      expectMalformed(
        Uint8Array.from([...update, ...extra]),
        `There are ${extra.length} bytes after the end`,
      );
    }
  });

  it('[S2] refuses encoding V2, that of an empty document included', () => {
    expectMalformed(v2Of(new Y.Doc()), 'after the end');
    expectMalformed(v2Of(clinic()), /./);
    fc.assert(
      fc.property(edits, (made) => {
        for (const doc of docsOf(made)) expect(refusal(() => scan(v2Of(doc))).code).toBe('MALFORMED_UPDATE');
      }),
      { numRuns: runs(150) },
    );
  });

  it('[S1] throws nothing but its own error at random bytes', () => {
    for (let seed = 1; seed <= runs(20_000); seed++) tryScan(randomBytes(seed, seed % 97));
    for (let seed = 1; seed <= runs(20); seed++) tryScan(randomBytes(seed, 200_000));
  });

  it('[S1] throws nothing but its own error at damaged updates', () => {
    const update = Y.encodeStateAsUpdate(clinic());
    const random = seededRandom(1);
    for (let round = 0; round < runs(20_000); round++) {
      const damaged = update.slice();
      for (let flips = 1 + (round % 3); flips > 0; flips--) {
        damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256);
      }
      tryScan(damaged);
    }
  });
});

/** Scans, and demands that every refusal is a SyncError. */
function tryScan(bytes: Uint8Array): void {
  try {
    scan(bytes);
  } catch (error) {
    if (!(error instanceof SyncError)) throw error;
  }
}
