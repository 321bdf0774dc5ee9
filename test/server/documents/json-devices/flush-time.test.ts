/** From when on a connection of a JSON device counts as one whose queue has been flushed (L5). */
import { expect, test } from 'vitest';
import type { Origin } from '../../../../server/documents/changes.js';
import { DeviceStates } from '../../../../server/documents/json-devices/devices.js';
import type { ChangeMessage } from '../../../../server/protocol/json.js';
import type { CollectionName, DeviceId, RecordId, UserId } from '../../../../shared/names.js';

const PHONE: Origin = { via: 'json', device: 'phone' as DeviceId, actor: null, subscriber: null };

/** It does not say when it was made. */
const deletion: ChangeMessage = {
  type: 'DATA_DELETE',
  collection: 'visits' as CollectionName,
  id: 'v1' as RecordId,
  sentAt: null,
  madeAt: null,
  ack: undefined,
};

/** The first full sync had to wait for 28 s, as for the disk. */
function late() {
  const devices = new DeviceStates('anna' as UserId);
  const view = devices.connect(PHONE, 0, 1);
  view.sentFullSync(1, 28_000);
  view.acknowledged(1, 1, 28_050);
  return { devices, view };
}

test('[L5] what comes within 30 s of a late full sync may be from a queue', () => {
  const { view } = late();
  expect(view.contextOf(deletion, { now: 31_000, revision: 1 }).replay).toBe(true);
  expect(view.contextOf(deletion, { now: 57_999, revision: 1 }).replay).toBe(true);
  expect(view.contextOf(deletion, { now: 58_000, revision: 1 }).replay).toBe(false);
});

test.each([
  [31_000, false],
  [58_000, true],
])('[L5] a connection that was heard until %i has flushed its queue: %s', (heardAt, hasFlushed) => {
  const { devices, view } = late();
  view.heard(heardAt);
  devices.disconnect(view, heardAt);
  expect(view.device.hasFlushed).toBe(hasFlushed);
});
