/** All that is kept of a user, as JSON that is written while it is read: what a person may demand (P7). */

import type { Collections } from '../../shared/json.js';
import { resting } from '../resting.js';
import type { HistoryEntry } from './history/history-entry.js';
import type { HistoryHead } from './history/history-log.js';
import type { SeenDevice } from './seen-devices.js';
import type { UserDocument } from './user-document.js';

/** What is written of the records before others have their turns, in characters. */
const PIECE = 64 * 1_024;

/**
 * The records as they are durable, the devices, then the history, newest first. Returns whether anything was there.
 *
 * @param seen what is noted of the user's devices for the operator
 */
export async function* exportDocument(
  document: UserDocument,
  seen: readonly SeenDevice[],
  now: number,
): AsyncGenerator<string, boolean> {
  const head = await headOf(document);
  const { user, historyLog } = document;
  const { revision, collections, devices } = head;
  const begin = { userId: user, exportedAt: now, revision, devices, seenDevices: seen };
  yield `${JSON.stringify(begin).slice(0, -1)},"collections":`;
  yield* writeCollections(collections);
  yield* writeHistory(historyLog.entries(head));
  yield '}\n';
  return document.hasData || seen.length > 0;
}

/** The four standard ones are always there (D7). */
async function* writeCollections(collections: Collections): AsyncGenerator<string> {
  const rest = resting();
  let text = '{';
  let before = '';
  for (const [name, records] of Object.entries(collections)) {
    text += `${before}${JSON.stringify(name)}:[`;
    before = '],';
    let separator = '';
    for (const record of records) {
      text += separator + JSON.stringify(record);
      separator = ',';
      if (text.length < PIECE) continue;
      yield text;
      text = '';
      await rest();
    }
  }
  yield `${text}]}`;
}

async function* writeHistory(entries: AsyncIterable<HistoryEntry>): AsyncGenerator<string> {
  const rest = resting();
  let text = ',"history":[';
  let separator = '\n';
  for await (const entry of entries) {
    text += separator;
    separator = ',\n';
    for (const piece of entryJson(entry)) {
      text += piece;
      if (text.length < PIECE) continue;
      yield text;
      text = '';
      await rest();
    }
  }
  yield `${text}]`;
}

/** A page of the history, as JSON; where its records are large, others have their turns between two. */
export async function pageJson(entries: readonly HistoryEntry[], next: number | null): Promise<Buffer> {
  const rest = resting();
  const pieces: Buffer[] = [];
  let before = '{"entries":[';
  for (const entry of entries) {
    for (const piece of entryJson(entry)) {
      pieces.push(Buffer.from(before + piece));
      before = '';
      await rest();
    }
    before = ',';
  }
  pieces.push(Buffer.from(`${entries.length === 0 ? before : ''}],"next":${JSON.stringify(next)}}`));
  return Buffer.concat(pieces);
}

/** All of one moment. */
async function headOf(document: UserDocument) {
  const head = await new Promise<HistoryHead & Pick<Content, 'collections' | 'devices'>>((resolve) =>
    document.whenReady(() =>
      resolve({
        ...document.historyHead(),
        collections: document.collections(),
        devices: document.devices.keys,
      }),
    ),
  );
  await document.durable();
  return head;
}

interface Content {
  readonly collections: ReturnType<UserDocument['collections']>;
  readonly devices: UserDocument['devices']['keys'];
}

/** An entry of the history as it is shown to people, as JSON, in pieces: each of its records may be large. */
function* entryJson(entry: HistoryEntry): Generator<string> {
  const { revision, collection, id, before, after, device, actor, via, at, madeAt, overruled } = entry;
  yield `${JSON.stringify({ revision, collection, id }).slice(0, -1)},"before":`;
  yield JSON.stringify(before?.json ?? null);
  yield ',"after":';
  yield JSON.stringify(after?.json ?? null);
  yield `,${JSON.stringify({ deviceId: device, actor, via, at, madeAt, overruled }).slice(1)}`;
}
