/** What an answer over HTTP lacks of what its device had goes behind it over the WebSocket (L3, L4, H1). */
import { expect, test } from 'vitest';
import type { DeviceId } from '../../../../shared/names.js';
import { GAP, LATER, scene } from '../../../support/devices/paced-lines.js';

const MANY = 300;

test.each([GAP, 0])(
  '[H1 L3 L4 L6] more than a few go in a full sync, which ends the doubt: pace %i',
  async (gap) => {
    const { document, clock, desk, phone, pass } = await scene({ gap });
    const origin = { via: 'http', device: 'phone' as DeviceId, actor: null, subscriber: null } as const;
    phone.write({ id: 'r0', i: 0 });
    await pass(LATER);
    const { revision } = document;
    phone.write({ id: 'r0', i: 1 });
    for (let n = 1; n <= MANY; n++) desk.write({ id: `r${n}`, i: 1 });
    await pass(LATER);
    const record = (id: string) => document.collections().notes?.find((each) => each.id === id);
    expect(record('r0')).toEqual({ id: 'r0', i: 1 });
    await pass(40 * LATER); // what came too close together has been sent once more
    phone.news();
    document.devices.overHttp(origin, clock.now).shown(
      revision,
      () => clock.now,
      (task) => task(),
    );
    await pass(2 * LATER);
    expect(phone.news()).toEqual(['FULL_SYNC']);
    phone.write({ id: 'r0', i: 0 });
    await pass(LATER);
    expect(record('r0')).toEqual({ id: 'r0', i: 0 });
  },
);
