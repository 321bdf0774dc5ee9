/** What the JSON client left in AsyncStorage (`deviceId`, `syncConfig`, `pendingChanges`), taken over once. */

import type { JsonObject } from '../../shared/json.js';
import { isDeviceId, isUserId } from '../../shared/names.js';
import { recordMap, writeRecord } from '../../shared/records.js';
import { checkCollection, checkId, checkRecord, checkTexts } from '../records/record-check.js';
import type { DeviceSettings } from '../session/device-settings.js';
import type { Predecessor, UserSession } from '../session/user-session.js';

/** What is used of AsyncStorage, or of `localStorage`, which stands in for it in browsers. */
export interface OldItems {
  getItem(key: string): Promise<string | null> | string | null;
  setItem(key: string, value: string): Promise<void> | void;
  removeItem(key: string): Promise<void> | void;
}

type Fields = Record<string, unknown>;

interface OldChange {
  readonly collection: unknown;
  readonly id: unknown;
  /** Null: it deletes. */
  readonly document: Fields | null;
  readonly at: number | undefined;
  readonly userId: unknown;
}

export class OldClient implements Predecessor {
  readonly #items: OldItems;

  constructor(items: OldItems) {
    this.#items = items;
  }

  async settle(settings: DeviceSettings): Promise<void> {
    if ((await settings.config()) !== null) return;
    const config = await this.#config();
    const given = await this.#deviceId(config);
    if (given === null) return;
    const deviceId = await settings.deviceId(undefined, () => given);
    const { serverUrl, userId } = config;
    if (typeof serverUrl !== 'string' || !isUserId(userId)) return;
    await settings.saveConfig({ serverUrl, userId, deviceId, autoConnect: config.autoConnect !== false });
  }

  /** What can't be written, or is another user's, stays where it was. */
  async handOver(session: UserSession, userId: string): Promise<void> {
    const text = await this.#items.getItem('pendingChanges');
    const config = await this.#config();
    const left: unknown[] = [];
    for (const entry of listOf(parsed(text))) {
      const change = changeOf(entry);
      const owner = change?.userId ?? config.userId ?? userId;
      const isWritten = change !== null && owner === userId && (await write(session, change));
      if (!isWritten) left.push(isObject(entry) ? { ...entry, userId: owner } : entry);
    }
    if (session.replica.storageError !== null) return; // in memory only: the next start does it again
    if (left.length > 0) await this.#items.setItem('pendingChanges', JSON.stringify(left));
    else if (text !== null) await this.#items.removeItem('pendingChanges');
    for (const key of ['syncConfig', 'deviceId'])
      if ((await this.#items.getItem(key)) !== null) await this.#items.removeItem(key);
  }

  async #config(): Promise<Fields> {
    const config = parsed(await this.#items.getItem('syncConfig'));
    return isObject(config) ? config : {};
  }

  async #deviceId(config: Fields) {
    const text = await this.#items.getItem('deviceId');
    return [parsed(text), text, config.deviceId].find(isDeviceId) ?? null;
  }
}

/** False where it is to be kept for later: a name that can't be stored, a deletion of what is not here yet. */
async function write(session: UserSession, { collection, id, document, at }: OldChange): Promise<boolean> {
  try {
    const name = checkCollection(collection as string);
    const key = checkId(name, id ?? document?.id);
    const replica = session.replicaOf(name);
    if (document === null) {
      if (recordMap(replica.doc, name, key) === null) return false;
      await replica.write((doc) => doc.getMap(name).delete(key), at);
      return true;
    }
    const fields: JsonObject = { ...checkRecord(name, document, () => false), id: key };
    await replica.write((doc) => {
      checkTexts(name, recordMap(doc, name, key), fields);
      writeRecord(doc, name, key, fields);
    }, at);
    return true;
  } catch {
    return false;
  }
}

/** A message of the JSON protocol as it was queued, or the data of one. */
function changeOf(entry: unknown): OldChange | null {
  if (!isObject(entry)) return null;
  const body = isObject(entry.data) && 'collection' in entry.data ? entry.data : entry;
  const isDeletion = /delete/i.test(`${entry.type ?? ''} ${body.operation ?? ''}`);
  const document = [body.document, body.data].find(isObject);
  if (!isDeletion && document === undefined) return null;
  return {
    collection: body.collection,
    id: body.documentId ?? body.id ?? document?.id,
    document: isDeletion ? null : (document ?? null),
    at: timeOf(body.timestamp) ?? timeOf(entry.timestamp),
    userId: isUserId(entry.userId) ? entry.userId : null,
  };
}

function timeOf(value: unknown): number | undefined {
  const time = typeof value === 'string' ? Date.parse(value) : value;
  return typeof time === 'number' && time > 0 && Number.isFinite(time) ? time : undefined;
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];

function parsed(text: string | null): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return null;
  }
}
