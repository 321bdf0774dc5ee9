// @vitest-environment happy-dom
import { act } from 'react';
import { afterEach, describe, expect, test } from 'vitest';
import type { SyncRecord } from '../../../client/api/api.js';
import { type Draft, SyncProvider, useDraft } from '../../../client/react/hooks.js';
import { closeClients, offlineClient } from '../../support/devices/test-client.js';
import { cleanScreens, render } from '../../support/rendered.js';

// The other way round: what is registered last ends first.
afterEach(closeClients);
cleanScreens();

async function openForm(record: Record<string, unknown>) {
  const client = await offlineClient();
  await client.addData('patients', { id: 'p', ...record });
  let draft: Draft<SyncRecord> | undefined;
  const Form = () => {
    draft = useDraft('patients', 'p');
    return JSON.stringify(draft.draft);
  };
  const screen = await render(
    <SyncProvider client={client}>
      <Form />
    </SyncProvider>,
  );
  return { client, screen, form: () => draft as Draft<SyncRecord> };
}

describe('useDraft', () => {
  test('[C14] stores only what was changed, and shows what comes in besides', async () => {
    const { client, screen, form } = await openForm({ name: 'Anna', room: 4 });
    act(() => form().change({ name: 'Ann' }));
    await act(() => client.updateData('patients', 'p', { room: 7 }));
    expect(screen.text).toBe('{"id":"p","name":"Ann","room":7}');
    expect([form().isDirty, form().conflicts]).toEqual([true, []]);
    expect(client.getRecord('patients', 'p')).toEqual({ id: 'p', name: 'Anna', room: 7 });
    await act(() => form().save());
    expect(client.getRecord('patients', 'p')).toEqual({ id: 'p', name: 'Ann', room: 7 });
    expect(form().isDirty).toBe(false);
  });

  test('[C14] names the fields that others changed as well; lists are merged', async () => {
    const { client, form } = await openForm({ name: 'Anna', list: [{ id: 1 }] });
    act(() => form().change({ name: 'Ann', list: [{ id: 1 }, { id: 2 }] }));
    await act(() => client.updateData('patients', 'p', { name: 'Anne', list: [{ id: 1, seen: true }] }));
    expect(form().conflicts).toEqual(['name', 'list']);
    await act(() => form().save());
    expect(client.getRecord('patients', 'p')).toEqual({
      id: 'p',
      name: 'Ann',
      list: [{ id: 1, seen: true }, { id: 2 }],
    });
  });

  test('[C14] what is typed while it is being saved is kept, and discard forgets it', async () => {
    const { client, form } = await openForm({ name: '' });
    act(() => form().change({ name: 'A' }));
    await act(async () => {
      const saving = form().save();
      form().change({ name: 'An' });
      await saving;
    });
    expect([form().draft?.name, form().isDirty]).toEqual(['An', true]);
    act(() => form().discard());
    expect(form().draft).toEqual({ id: 'p', name: 'A' });
    expect(client.getRecord('patients', 'p')).toEqual({ id: 'p', name: 'A' });
  });

  test('[C14] what was typed stays on the screen where the record is deleted, and where saving fails', async () => {
    const { client, form } = await openForm({ name: 'Anna' });
    act(() => form().change({ name: Number.NaN }));
    await expect(form().save()).rejects.toMatchObject({ code: 'INVALID_RECORD' });
    act(() => form().change({ name: 'Ann' }));
    await act(() => client.deleteData('patients', 'p'));
    await expect(form().save()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(form().draft).toEqual({ id: 'p', name: 'Ann' });
  });
});
