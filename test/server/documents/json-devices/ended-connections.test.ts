/** What is kept of WebSockets that end while an answer over HTTP goes out (L4). */
import { expect, test, vi } from 'vitest';
import { DeviceStates } from '../../../../server/documents/json-devices/devices.js';
import type { DeviceId, UserId } from '../../../../shared/names.js';

const PHONE = { device: 'phone' as DeviceId, actor: null, subscriber: null };

test('[H1 L4] the last four of them are told of the answer, which may never have gone out', () => {
  const devices = new DeviceStates('anna' as UserId);
  const phone = devices.overHttp({ ...PHONE, via: 'http' }, 1_000);
  phone.goesOut();
  const told = Array.from({ length: 6 }, (_, n) => {
    const connection = devices.connect({ ...PHONE, via: 'json' }, 2_000 + n, 1);
    devices.disconnect(connection, 2_000 + n);
    return vi.spyOn(connection, 'replacedBy');
  });
  phone.shown(
    1,
    () => 3_000,
    (task) => task(),
  );
  expect(told.map(({ mock }) => mock.calls.length)).toEqual([0, 0, 1, 1, 1, 1]);
});
