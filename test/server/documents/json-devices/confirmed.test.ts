/** What a device said over HTTP that it has stays said (H1, L4). */
import { expect, test } from 'vitest';
import { DeviceState } from '../../../../server/documents/json-devices/device.js';
import { deviceKey } from '../../../../server/documents/json-devices/device-key.js';
import { RequestView } from '../../../../server/documents/json-devices/request-view.js';
import type { CollectionName, DeviceId, RecordId, UserId } from '../../../../shared/names.js';

const ANNA = 'anna' as UserId;

const newPhone = () => new DeviceState(deviceKey(ANNA, { device: 'phone' as DeviceId, actor: null }), ANNA);

test('[H1 L4] a request from before, sent again, takes nothing back of what was acknowledged since', () => {
  const phone = newPhone();
  phone.answered(5, 1_000);
  phone.answered(9, 2_000);
  phone.confirm(9, 2_000, 3_000);
  phone.confirm(5, 1_000, 4_000);
  expect([phone.hasConfirmed(9, 0), phone.hasConfirmed(9, 3_000)]).toEqual([true, true]);
  phone.confirm(9, 2_000, 5_000);
  expect([phone.hasConfirmed(9, 5_000), phone.hasConfirmed(10, 0)]).toEqual([true, false]);
});

test('[H1 L4] a tag ends a doubt only where it is known that the answer was sent later', () => {
  const phone = newPhone();
  const view = new RequestView(phone);
  const visit = { collection: 'visits' as CollectionName, id: 'v1' as RecordId };
  view.sent(3, 1_000);
  phone.noteUnsure(visit, 3, 2_000);
  view.confirmed(3, 3_000);
  // Of another process, or of before the document was let go.
  view.confirmed(5, 4_000);
  expect(phone.unsureSince(visit, 5_000)).toBe(3);
  view.sent(8, 6_000);
  view.confirmed(8, 7_000);
  expect(phone.unsureSince(visit, 5_000)).toBe(3);
  expect(phone.unsureSince(visit, 8_000)).toBe(Number.POSITIVE_INFINITY);
});

test('[H1 L4] nor by an answer without records, however often it polls', () => {
  const phone = newPhone();
  const visit = { collection: 'visits' as CollectionName, id: 'v1' as RecordId };
  // Its document was let go since it got what it names.
  const view = new RequestView(phone);
  phone.noteUnsure(visit, 3, 2_000);
  for (const now of [3_000, 4_000]) {
    view.confirmed(5, now);
    view.sent(5, now, false);
  }
  expect(phone.unsureSince(visit, 5_000)).toBe(3);
  view.sent(5, 6_000); // without its tag
  view.confirmed(5, 7_000);
  expect(phone.unsureSince(visit, 8_000)).toBe(Number.POSITIVE_INFINITY);
});
