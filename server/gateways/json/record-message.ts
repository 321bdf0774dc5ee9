/** A message with a record to a JSON device, until it leaves. */
import type { DeviceId } from '../../../shared/names.js';
import type { RecordChange } from '../../documents/changes.js';
import { jsonMessages } from '../../protocol/json.js';
import type { Outgoing } from './pace.js';

/** What it shows. */
export interface Shown {
  /** The state of the document. */
  readonly revision: number;
  /** The oldest revision that it is about. */
  readonly since: number;
  /** Whether it answers a write of the device, and what that was written as. */
  readonly answers: { readonly written: number | null } | null;
}

export interface RecordMessage extends Outgoing, Shown {}

/** The text of a change is made once, and encoded once, however many connections it goes to. */
const texts = new WeakMap<RecordChange, Buffer>();

export function recordMessage(
  change: RecordChange,
  fromDevice: DeviceId,
  shown: Shown,
  now: number,
): RecordMessage {
  const { collection, id } = change;
  const { revision, since, answers } = shown;
  let text = texts.get(change);
  if (text === undefined) {
    text = Buffer.from(textOf(change, fromDevice, now));
    texts.set(change, text);
  }
  return { collection, id, text, revision, since, answers };
}

function textOf({ collection, id, record }: RecordChange, fromDevice: DeviceId, now: number): string {
  if (record === null) return jsonMessages.dataDelete(collection, id, fromDevice, now);
  return jsonMessages.dataUpdate(collection, record, fromDevice, now);
}
