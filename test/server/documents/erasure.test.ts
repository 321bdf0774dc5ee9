/** What is known of devices, where they come and go while their user is erased (P7). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Origin, Subscriber } from '../../../server/documents/changes.js';
import { DocumentRegistry } from '../../../server/documents/registry.js';
import type { UserDocument } from '../../../server/documents/user-document.js';
import type { SyncError } from '../../../server/errors.js';
import { KeyRing, newKey } from '../../../server/store/encryption/key-ring.js';
import type { CollectionName, DeviceId, RecordId } from '../../../shared/names.js';
import { writeRecord } from '../../../shared/records.js';
import { LevelFixture } from '../../support/level-fixture.js';
import { user } from '../../support/notes.js';
import { findInFiles } from '../../support/raw-files.js';

const ANNA = user('anna');
const VISITS = 'visits' as CollectionName;
const comer = (name: string): Origin => ({
  via: 'json',
  device: name as DeviceId,
  actor: null,
  subscriber: null,
});

let fixture: LevelFixture;
let registry: DocumentRegistry;
beforeEach(() => begin(KeyRing.parse(newKey())));

async function begin(keys?: KeyRing): Promise<void> {
  fixture = await LevelFixture.create(keys);
  const store = await fixture.open();
  let ids = 1_000;
  const fault = (...what: unknown[]): never => expect.unreachable(String(what.at(-1)));
  registry = new DocumentRegistry({
    store,
    idleTimeout: 30_000,
    maxDepth: 64,
    compactUpdates: 500,
    compactBytes: 4_000_000,
    keepFor: 86_400_000,
    historyDays: 90,
    now: () => 1_000,
    randomId: () => ids++,
    onHistoryDamaged: fault,
    onFailed: () => {},
    onRebuilt: fault,
    onCompacted: () => {},
    onUnexpected: fault,
  });
}

function end(): Promise<void> {
  registry.close();
  return fixture.remove();
}
afterEach(end);

test('[A0] [P7] what is noted of a device while its user is erased is not written behind that', async () => {
  await end(); // encrypted, it could not be written: the key of the user is gone
  await begin();
  const { seen } = registry;
  const note = (device: string) => {
    const there = { actor: null, via: 'json', app: null, at: 1, revision: 1, unsent: null } as const;
    seen.note(ANNA, { device: device as DeviceId, ...there });
  };
  const { document, release } = await registry.open(ANNA);
  document.write(comer('phone'), (doc) => writeRecord(doc, VISITS, 'v1' as RecordId, { id: 'v1' }));
  await document.durable();
  release();
  note('secret-phone');
  await seen.flush();
  note('secret-tablet');
  fixture.afterWrite = () => {
    note('secret-device');
    void seen.flush();
  };
  await registry.erase(ANNA);
  fixture.afterWrite = () => {};
  await seen.flush();
  expect(await seen.of(ANNA)).toEqual([]);
  note('phone of later');
  expect(await seen.of(ANNA)).toHaveLength(1);
});

const ways: [string, (document: UserDocument) => void][] = [
  [
    'one comes',
    (document) => {
      document.devices.connect(comer('secret-device'), 1_000, document.revision);
      document.saveDevices('urgent');
    },
  ],
  ['what is known of them is saved', (document) => document.saveDevices('all')],
  [
    'one goes',
    (document) => {
      const view = document.devices.connect(comer('secret-device'), 1_000, document.revision);
      view.end(2_000);
      document.saveDevices('all');
    },
  ],
];

test.each(ways)('[P7] as %s, the erasure is one all the same, and all are told so', async (_, act) => {
  const { document } = await registry.open(ANNA);
  document.devices.connect(comer('secret-phone'), 1_000, 0);
  document.write(comer('secret-phone'), (doc) =>
    writeRecord(doc, VISITS, 'v1' as RecordId, { id: 'v1', note: 'secret-note' }),
  );
  document.saveDevices('all');
  await document.durable();
  const told: string[] = [];
  const subscriber: Subscriber = {
    device: 'tablet' as DeviceId,
    deliver: () => {},
    fail: ({ code }: SyncError) => told.push(code),
  };
  document.join(subscriber);
  const erased = registry.erase(ANNA);
  while (!document.isPaused) await new Promise((resolve) => setImmediate(resolve));
  const acts = new Set<number>();
  // At each of its batches, and between them.
  fixture.afterWrite = () => {
    acts.add(acts.size);
    act(document);
  };
  act(document);
  expect(await erased).toBe(true);
  expect(acts.size).toBeGreaterThan(1);
  expect([told, document.failure?.code]).toEqual([['ERASED'], 'ERASED']);
  fixture.afterWrite = () => {};
  const again = await registry.open(ANNA);
  expect([again.document.collections().visits, again.document.devices.keys]).toEqual([undefined, []]);
  expect(await findInFiles(fixture.folder, ['secret-note', 'secret-phone', 'secret-device'])).toEqual([]);
});
