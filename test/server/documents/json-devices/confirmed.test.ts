/** What a device said over HTTP that it has stays said (H1, L4). */
import { expect, test } from 'vitest';
import { DeviceState } from '../../../../server/documents/json-devices/device.js';
import { deviceKey } from '../../../../server/documents/json-devices/device-key.js';
import type { DeviceId, UserId } from '../../../../shared/names.js';

const ANNA = 'anna' as UserId;

test('[H1 L4] a request from before, sent again, takes nothing back of what was acknowledged since', () => {
  const phone = new DeviceState(deviceKey(ANNA, { device: 'phone' as DeviceId, actor: null }), ANNA);
  phone.answered(5, 1_000);
  phone.answered(9, 2_000);
  phone.confirm(9, 2_000, 3_000);
  phone.confirm(5, 1_000, 4_000);
  expect([phone.hasConfirmed(9, 0), phone.hasConfirmed(9, 3_000)]).toEqual([true, true]);
  phone.confirm(9, 2_000, 5_000);
  expect([phone.hasConfirmed(9, 5_000), phone.hasConfirmed(10, 0)]).toEqual([true, false]);
});
