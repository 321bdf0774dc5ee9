/** Half of a character in what a device sends becomes U+FFFD before anybody sees it (D6). */
import { describe, expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import type { Collections } from '../../../shared/json.js';
import { ServerProcess } from '../../support/server-process.js';
import { useJson, useNative, useServer } from '../../support/use.js';

describe('[D6] half of a character in a value', () => {
  test('shows the same before and after a restart; a stale write of another field is no edit of it', async () => {
    const server = await ServerProcess.start();
    onTestFinished(() => server.dispose());
    const phone = await useJson(server, 'anna', 'phone');
    phone.update('notes', { id: 'ok', note: 'cut \ud83d', list: ['\ude00', { deep: '\ud83c' }], other: 1 });
    await phone.saved();
    const shown = { id: 'ok', note: 'cut \ufffd', list: ['\ufffd', { deep: '\ufffd' }], other: 1 };
    await phone.until(() => phone.of('DATA_UPDATE').length === 1); // the correction, which an ACK does not wait for
    expect(phone.store.notes).toEqual({ ok: shown });
    const before = await (await fetch(`${server.url}/api/sync/anna`)).text();
    phone.ws.terminate();
    await server.stop();
    await server.restart();
    expect(await (await fetch(`${server.url}/api/sync/anna`)).text()).toBe(before);
    const desk = await useJson(server, 'anna', 'desk');
    desk.update('notes', { ...desk.store.notes?.ok, note: 'by the desk' });
    await desk.saved();
    const again = await useJson(server, 'anna', 'phone');
    again.update(
      'notes',
      { id: 'ok', note: 'cut \ud83d', list: ['\ude00', { deep: '\ud83c' }], other: 2 },
      {
        timestamp: Date.now(),
      },
    );
    await again.saved();
    await desk.until(() => desk.store.notes?.ok?.other === 2);
    expect(desk.store.notes?.ok).toEqual({ ...shown, note: 'by the desk', other: 2 });
  });

  test('over HTTP, and in the history', async () => {
    const server = await useServer();
    const data = {
      collection: 'notes',
      document: { id: 'n1', note: '\ud83d\ud83d\ude00' },
      timestamp: Date.now(),
    };
    const body = JSON.stringify({ changes: [{ type: 'DATA_UPDATE', data, userId: 'u', deviceId: 'd' }] });
    const answer = await fetch(`${server.url}/api/sync/u`, { method: 'POST', body });
    expect(((await answer.json()) as Collections).notes).toEqual([{ id: 'n1', note: '\ufffd😀' }]);
    const restore = JSON.stringify({ collection: 'notes', id: 'n1', revision: 1 });
    const restored = await fetch(`${server.url}/api/history/u/restore`, { method: 'POST', body: restore });
    expect(await restored.json()).toMatchObject({ document: { note: '\ufffd😀' } });
  });

  test('a text that others type into stays whole characters, whatever a JSON device makes of it', async () => {
    // Within 2 s of what was sent, a text may be merged with an older one that the device may show (L4, L6).
    const server = await useServer({ JSON_PACE: '0' });
    const native = await useNative(server, 'u', 'laptop');
    const text = new Y.Text('a😀b');
    native.record('notes', 'n1').set('text', text);
    await native.saved();
    const phone = await useJson(server, 'u', 'phone');
    for (const next of ['a😁b', '😁😀', '😀😁', 'a\ud83db', '👩‍⚕️🏽', '']) {
      phone.update('notes', { id: 'n1', text: next });
      await phone.saved();
      await native.until(() => text.toString() === next.replace('\ud83db', '\ufffdb'));
      await phone.until(() => phone.store.notes?.n1?.text === text.toString());
    }
  });
});
