/** The change history: one entry for each change of a record (H5), and how it is stored. */
import * as encoding from 'lib0/encoding';
import type { JsonRecord } from '../../../shared/json.js';
import type { CollectionName, DeviceId, RecordId } from '../../../shared/names.js';
import { ByteReader, encoded, malformed, parseJson, writeText } from '../../protocol/bytes.js';
import { applyPatch, makePatch, type Patch } from '../records/patch.js';
import type { RecordImage } from '../records/record-image.js';
import type { TypeMarks } from '../records/value-image.js';

/** How a change came in. */
export type Via = (typeof VIAS)[number];
/** By the number that stands for it in stored entries. */
const VIAS = ['yjs', 'json', 'http', 'restore'] as const;

/** Who changed what, how and when. */
interface EntryHead {
  readonly collection: CollectionName;
  readonly id: RecordId;
  readonly device: DeviceId;
  readonly actor: string | null;
  readonly via: Via;
  /** When the server took it, in ms since 1970. */
  readonly at: number;
  /** When its author made it, as far as the author's clock tells; at most `at`. */
  readonly madeAt: number;
  /** It was made then or before: a provider without times brought it on connecting. */
  readonly untimed?: boolean | undefined;
  /** Not by the clock of its JSON device: the write named no time, or came before the clock was known. */
  readonly uncertain?: boolean | undefined;
  /**
   * A write that was overruled when it came in (D3), or the end of it: no device ever saw the record so, and merges
   * pass over both.
   */
  readonly overruled?: boolean | undefined;
}

/** One change of one record (H5). */
export interface HistoryEntry extends EntryHead {
  readonly revision: number;
  readonly before: RecordImage | null;
  readonly after: RecordImage | null;
}

/** An entry as it is stored: what leads back from `after` stands for `before`. */
export interface StoredEntry extends EntryHead {
  /** The change removed the record: `after` is `null`. */
  readonly removed: boolean;
  /** The change made the record: there was none before. */
  readonly created: boolean;
  /** What leads back to the record before it, where there was one before and after; `null`: its types alone. */
  readonly patch: Patch | null;
  /** The record before the change; `after` is the record after it. Throws if it can't have been that. */
  before(after: RecordImage | null): RecordImage | null;
}

const VERSION = 1;
/** With one more byte of flags. */
const VERSION_2 = 2;
const UNTIMED = 1;
const OVERRULED = 1 << 1;
const UNCERTAIN = 1 << 2;
const VIA_BITS = 0b11;
const HAS_ACTOR = 1 << 2;
const MADE_EARLIER = 1 << 3;
const CREATED = 1 << 4;
const REMOVED = 1 << 5;
const HAS_TYPES = 1 << 6;

/** What leads from `after` to `before`: patches where both are there, else `before` itself. */
interface Back {
  readonly json: Patch | JsonRecord | null;
  readonly types: Patch | TypeMarks | null;
}

/** What is stored: everything but `after` and `revision`, `before` as a patch that leads back to it. */
export function encodeEntry(entry: HistoryEntry): Uint8Array {
  return encoded((encoder) => writeEntry(encoder, entry, backOf(entry)));
}

function writeEntry(encoder: encoding.Encoder, entry: HistoryEntry, back: Back): void {
  const more =
    (entry.untimed ? UNTIMED : 0) | (entry.overruled ? OVERRULED : 0) | (entry.uncertain ? UNCERTAIN : 0);
  encoding.writeUint8(encoder, more === 0 ? VERSION : VERSION_2);
  encoding.writeUint8(encoder, flagsOf(entry, back));
  if (more !== 0) encoding.writeUint8(encoder, more);
  writeText(encoder, entry.collection);
  writeText(encoder, entry.id);
  writeText(encoder, entry.device);
  if (entry.actor !== null) writeText(encoder, entry.actor);
  encoding.writeVarUint(encoder, entry.at);
  if (entry.madeAt < entry.at) encoding.writeVarUint(encoder, entry.at - entry.madeAt);
  if (entry.before === null) return;
  // As text: for edits of one field as short as lib0's encoding, and exact for every string.
  const stored = back.types === null ? back.json : [back.json, back.types];
  writeText(encoder, JSON.stringify(stored));
}

function backOf({ before, after }: HistoryEntry): Back {
  if (before === null || after === null) return before ?? { json: null, types: null };
  return { json: makePatch(after.json, before.json), types: makePatch(after.types, before.types) };
}

function flagsOf({ via, actor, at, madeAt, before, after }: HistoryEntry, { types }: Back): number {
  return (
    VIAS.indexOf(via) |
    (actor === null ? 0 : HAS_ACTOR) |
    (madeAt < at ? MADE_EARLIER : 0) |
    (before === null ? CREATED : 0) |
    (after === null ? REMOVED : 0) |
    (types === null ? 0 : HAS_TYPES)
  );
}

/** Throws on what it can't read. */
export function decodeEntry(bytes: Uint8Array): StoredEntry {
  const reader = new ByteReader(bytes);
  const version = reader.byte();
  if (version !== VERSION && version !== VERSION_2) malformed('A history entry has an unknown version.');
  const flags = reader.byte();
  const more = version === VERSION_2 ? reader.byte() : 0;
  if (flags >= HAS_TYPES << 1 || more >= UNCERTAIN << 1) malformed('A history entry has unknown flags.');
  const has = (flag: number) => (flags & flag) !== 0;
  const names = {
    collection: reader.text() as CollectionName,
    id: reader.text() as RecordId,
    device: reader.text() as DeviceId,
    actor: has(HAS_ACTOR) ? reader.text() : null,
    via: VIAS[flags & VIA_BITS] as Via,
  };
  const at = reader.uint();
  const madeAt = has(MADE_EARLIER) ? at - reader.uint() : at;
  const back = has(CREATED) ? null : readBack(reader, has(HAS_TYPES));
  reader.end();
  const removed = has(REMOVED);
  const marks = {
    ...(more & UNTIMED && { untimed: true }),
    ...(more & OVERRULED && { overruled: true }),
    ...(more & UNCERTAIN && { uncertain: true }),
  };
  const [created, json] = [back === null, removed ? null : ((back?.json ?? null) as Patch | null)];
  return {
    ...names,
    at,
    madeAt,
    ...marks,
    removed,
    created,
    patch: json,
    before: (after) => imageBefore(back, removed, after),
  };
}

function readBack(reader: ByteReader, hasTypes: boolean): Back {
  const stored = parseJson(reader.text());
  if (!hasTypes) return { json: stored as Back['json'], types: null };
  if (!Array.isArray(stored) || stored.length !== 2) malformed('A history entry has no types.');
  const [json, types] = stored as [Back['json'], Back['types']];
  return { json, types };
}

function imageBefore(back: Back | null, removed: boolean, after: RecordImage | null): RecordImage | null {
  if (removed !== (after === null)) throw new Error('This record is not the one after the change.');
  if (back === null) return null;
  if (after === null) return back as RecordImage;
  const { json, types } = back as { json: Patch | null; types: Patch | null };
  return {
    json: json === null ? after.json : (applyPatch(after.json, json) as JsonRecord),
    types: types === null ? after.types : (applyPatch(after.types, types) as TypeMarks | null),
  };
}

/** The entry of these bytes; `null` where they can't be read. */
export function readEntry(bytes: Uint8Array): StoredEntry | null {
  try {
    return decodeEntry(bytes);
  } catch {
    return null;
  }
}

/** A stored entry with what was before and after it. */
export function entryOf(
  stored: StoredEntry,
  revision: number,
  before: RecordImage | null,
  after: RecordImage | null,
): HistoryEntry {
  const { collection, id, device, actor, via, at, madeAt, untimed, overruled, uncertain } = stored;
  // Not spread: each entry would get a hidden class of its own, which takes more memory than the entry.
  return {
    revision,
    collection,
    id,
    before,
    after,
    device,
    actor,
    via,
    at,
    madeAt,
    untimed,
    overruled,
    uncertain,
  };
}

/** The record before an entry; `undefined` where the entry does not fit what was after it. */
export function earlierImage(entry: StoredEntry, after: RecordImage | null): RecordImage | null | undefined {
  try {
    return entry.before(after);
  } catch {
    return undefined;
  }
}
