/** What happens while a batch over HTTP is written in steps, or its answer is made (H1, H2, L4). */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { RequestView } from '../../../../server/documents/json-devices/request-view.js';
import { RecordTexts } from '../../../../server/documents/records/record-texts.js';
import { UserDocument } from '../../../../server/documents/user-document.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { JsonRecord } from '../../../../shared/json.js';
import { HttpDevice } from '../../../support/devices/json-http.js';
import { messageOf } from '../../../support/devices/json-words.js';
import { SetClock } from '../../../support/set-clock.js';
import { useServer } from '../../../support/use.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const clock = new SetClock();
const pass = (ms: number): void => clock.pass(ms);
const note = (document: JsonRecord, madeAt = clock.time) =>
  messageOf({ collection: 'notes', document, madeAt }, 'both', clock.time);

async function scene() {
  const server = await useServer({}, { store: new MemoryStore(), time: clock });
  const device = (name: string) => new HttpDevice(server.url, 'anna', name);
  const [desk, phone, tablet] = ['desk', 'phone', 'tablet'].map(device) as [
    HttpDevice,
    HttpDevice,
    HttpDevice,
  ];
  await desk.post([note({ id: 'r', a: 1, b: 1 })]);
  await phone.get();
  pass(20);
  await phone.get();
  pass(20);
  return { desk, phone, tablet };
}

describe('over HTTP', () => {
  test('[L4] what is made while an answer is being made knows nothing of what that shows', async () => {
    const { desk, phone } = await scene();
    await desk.post([note({ id: 'r', a: 1, b: 2 })]);
    pass(20);
    // As of a large document whose JSON stands behind the loads of others.
    let isMade = () => {};
    const making = new Promise<void>((resolve) => {
      isMade = resolve;
    });
    const asked = vi
      .spyOn(UserDocument.prototype, 'writeRecords')
      .mockReturnValueOnce(making.then(() => new RecordTexts()));
    const posted = phone.post([note({ id: 'n', x: 1 })]);
    await vi.waitUntil(() => asked.mock.calls.length > 0, { interval: 1 });
    pass(300);
    const edit = note({ id: 'r', a: 9, b: 1 });
    pass(300);
    isMade();
    await posted;
    expect(phone.record('notes', 'r')).toMatchObject({ a: 1, b: 2 });
    pass(20);
    await phone.post([edit]);
    expect(phone.record('notes', 'r')).toMatchObject({ a: 9, b: 2 });
  });

  test('[H1] a tag that comes while a batch of another device is written counts', async () => {
    const { desk, phone, tablet } = await scene();
    await desk.post([note({ id: 'r', a: 2, b: 1 })]);
    pass(20);
    await phone.get();
    pass(20);
    const contextOf = vi.spyOn(RequestView.prototype, 'contextOf');
    const notes = Array.from({ length: 1_000 }, (_, n) => note({ id: `n${n}`, text: 'x' }));
    const sent = tablet.post(notes);
    await vi.waitUntil(() => contextOf.mock.calls.length > 1_001, { interval: 1 });
    pass(20);
    await phone.post([note({ id: 'r', a: 1, b: 1 })]);
    await sent;
    expect(phone.record('notes', 'r')).toMatchObject({ a: 1, b: 1 });
  });
});
