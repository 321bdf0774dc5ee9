/** First sync is complete: 200 documents on disk, 200 fresh providers at once (N2). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import { LevelStore } from '../../../server/store/level/level-store.js';
import type { UserId } from '../../../shared/names.js';
import { type ById, byId, generatedClinic } from '../../support/clinic.js';
import { NativeDevice } from '../../support/devices/native-device.js';
import { ServerProcess } from '../../support/server-process.js';

const USERS = Array.from({ length: 200 }, (_, number) => `patient-${number}`);
const RECORDS = 20;

/** Twenty records, each in an update of its own, and one of them known by its user. */
function recordsFor(user: string): ById {
  const records = generatedClinic().prescriptions?.slice(0, RECORDS) ?? [];
  return byId({ prescriptions: records.map((record) => ({ ...record, owner: user })) });
}

async function fill(folder: string): Promise<void> {
  const store = await LevelStore.open({ folder });
  await Promise.all(
    USERS.map(async (user) => {
      await store.load(user as UserId);
      const doc = new Y.Doc();
      const commits: Promise<void>[] = [];
      doc.on('update', (update: Uint8Array) => {
        commits.push(store.commit(user as UserId, { update, revision: commits.length + 1 }));
      });
      for (const [id, record] of Object.entries(recordsFor(user).prescriptions ?? {})) {
        doc.getMap('prescriptions').set(id, new Y.Map(Object.entries(record)));
      }
      await Promise.all(commits);
    }),
  );
  await store.close();
}

test('[N2] at `synced`, each of 200 fresh providers has every record of its document', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'server-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await fill(folder);
  const server = await ServerProcess.start({ DATA_DIR: folder, LOG_LEVEL: 'info' });
  onTestFinished(() => server.dispose());
  process.setMaxListeners(0); // each provider listens for the end of the process
  const atSynced = new Map<string, number>();
  const devices = USERS.map((user) => {
    const device = new NativeDevice(server.url, user, 'phone', { maxBackoffTime: 2_500 });
    device.provider.on('sync', (synced) => {
      if (synced && !atSynced.has(user)) atSynced.set(user, device.collection('prescriptions').size);
    });
    return device;
  });
  onTestFinished(() => {
    for (const device of devices) device.close();
  });
  await Promise.all(devices.map((device) => device.synced()));
  expect([...atSynced].filter(([, records]) => records !== RECORDS)).toEqual([]);
  expect(atSynced.size).toBe(200);
  for (const [index, device] of devices.entries()) {
    expect(device.json()).toEqual(recordsFor(USERS[index] as string));
  }
});
