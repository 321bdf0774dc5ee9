/**
 * D3 with real devices: an element that one of them moves, and another one edits, neither knowing of the other. Our
 * clients in a test ward, whose server can crash at no cost; devices of others with a server of its own process.
 */
import { describe, expect, onTestFinished, test } from 'vitest';
import type * as Y from 'yjs';
import { createTestWard } from '../client/testing/index.js';
import type { JsonObject } from '../shared/json.js';
import { sharedValue } from '../shared/records.js';
import type { NativeDevice } from './support/devices/native-device.js';
import { shareProcess } from './support/shared-process.js';
import { useJson, useNative } from './support/use.js';

const M1 = { id: 'm1', dose: '400' };
const M2 = { id: 'm2', dose: '5' };
const M3 = { id: 'm3', dose: '7' };
const EDITED = { ...M1, dose: '600' };
type Medicine = typeof M1;

const shared = shareProcess();

async function onServer(): Promise<JsonObject[]> {
  const { prescriptions } = await (await fetch(`${shared.server.url}/api/sync/${shared.user}`)).json();
  return prescriptions[0].medicines;
}

/** Whether some entry tells of the edit, before or after it. */
async function expectInHistory(): Promise<void> {
  const answer = await fetch(`${shared.server.url}/api/history/${shared.user}`);
  expect(await answer.text()).toContain('"dose":"600"');
}

const long = Array.from({ length: 600 }, (_, n) => ({ id: `m${n + 1}`, dose: '1' }));
const edited = (list: Medicine[]) => list.map((each) => (each.id === 'm1' ? { ...each, dose: '600' } : each));

describe.each([
  ['move', 'nothing'],
  ['edit', 'nothing'],
  ['move', 'a kill'],
  ['edit', 'a kill'],
])('the %s first, %s between', (first, between) => {
  test.each([
    ['two swapped', [M1, M2], [M2, M1]],
    ['a list that the app sorts on save', [M3, M1, M2], [M2, M1, M3]],
    ['a list of 600 that is turned around', long, [...long].reverse()],
  ])('[D3 H5] two of our clients: %s', async (_, list, moved) => {
    const ward = await createTestWard({ devices: ['mover', 'editor'] });
    onTestFinished(() => ward.close());
    const [mover, editor] = [ward.device('mover'), ward.device('editor')];
    await mover.addData('prescriptions', { id: 'p1', medicines: list });
    await ward.settled();
    ward.cut();
    await mover.updateData('prescriptions', 'p1', { medicines: moved });
    await editor.updateData('prescriptions', 'p1', { medicines: edited(list) });
    for (const each of first === 'move' ? ['mover', 'editor'] : ['editor', 'mover']) {
      ward.mend(each);
      await ward.settled();
      if (between !== 'a kill') continue;
      ward.cut(each);
      await ward.crash();
    }
    ward.mend();
    await ward.settled();
    for (const each of [mover, editor])
      expect(each.getRecord('prescriptions', 'p1')?.medicines).toEqual(edited(moved));
    const { body: records } = await ward.request('/api/sync/anna');
    expect(records).toMatchObject({ prescriptions: [{ medicines: edited(moved) }] });
    const { body: history } = await ward.request('/api/history/anna');
    expect(JSON.stringify(history)).toContain('"dose":"600"');
  });

  const listOf = (device: NativeDevice) =>
    device.record('prescriptions', 'p1').get('medicines') as Y.Array<Y.Map<unknown>>;
  const swap = (list: Y.Array<Y.Map<unknown>>) =>
    list.doc?.transact(() => {
      const copy = list.get(0).clone();
      list.delete(0, 1);
      list.push([copy]);
    });

  test.each(['a native device', 'a JSON device'])(
    '[D3 H5] %s moves, an unmodified provider edits',
    async (who) => {
      const editor = await useNative(shared.server, shared.user, 'editor');
      editor.record('prescriptions', 'p1').set('medicines', sharedValue([M1, M2]));
      await editor.saved();
      const mover = await useNative(shared.server, shared.user, 'mover');
      const json = await useJson(shared.server, shared.user, 'json');
      mover.offline();
      editor.offline();
      listOf(editor).get(0).set('dose', '600');
      const move = async () => {
        if (who === 'a JSON device') {
          json.update('prescriptions', { id: 'p1', medicines: [M2, M1] });
          await json.saved();
        } else {
          swap(listOf(mover));
          await mover.online();
          await mover.saved();
        }
      };
      const edit = async () => {
        await editor.online();
        await editor.saved();
        editor.offline();
      };
      const steps = first === 'move' ? [move, edit] : [edit, move];
      for (const [index, step] of steps.entries()) {
        await step();
        if (index > 0 || between !== 'a kill' || (who === 'a JSON device' && first === 'edit')) continue;
        await shared.server.kill();
        await shared.server.restart();
      }
      expect(await onServer()).toEqual([M2, EDITED]);
      await expectInHistory();
      await editor.online();
      expect(listOf(editor).toJSON()).toEqual([M2, EDITED]);
      listOf(editor).get(1).set('dose', '700');
      await editor.saved();
      expect(await onServer()).toEqual([M2, { ...M1, dose: '700' }]);
    },
  );

  test('[D3 L6] a native device moves, a JSON device edits', async () => {
    const mover = await useNative(shared.server, shared.user, 'mover');
    mover.record('prescriptions', 'p1').set('medicines', sharedValue([M1, M2]));
    await mover.saved();
    mover.offline();
    swap(listOf(mover));
    const edit = async () => {
      const json = await useJson(shared.server, shared.user, 'json');
      json.update('prescriptions', { id: 'p1', medicines: first === 'move' ? [M2, EDITED] : [EDITED, M2] });
      await json.saved();
    };
    const move = async () => {
      await mover.online();
      await mover.saved();
    };
    for (const step of first === 'move' ? [move, edit] : [edit, move]) {
      await step();
      if (between !== 'a kill') continue;
      mover.offline();
      await shared.server.kill();
      await shared.server.restart();
    }
    await mover.online();
    expect(await onServer()).toEqual([M2, EDITED]);
    await expectInHistory();
  });
});
