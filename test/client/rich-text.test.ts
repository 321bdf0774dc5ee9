/** A text that an editor has open, and the calls of the client that write strings (D2). */
import { afterEach, expect, test } from 'vitest';
import * as Y from 'yjs';
import { RecordError } from '../../client/errors.js';
import { closeClients, synced, testClient } from '../support/devices/test-client.js';
import { useNative, useServer } from '../support/use.js';

afterEach(closeClients);

function paragraph(words: string): Y.XmlElement {
  const xml = new Y.XmlElement('paragraph');
  xml.insert(0, [new Y.XmlText(words)]);
  return xml;
}

test('[D2 C2] updateData and addData write words inside it, and refuse what is more', async () => {
  const server = await useServer();
  const editor = await useNative(server, 'anna', 'editor');
  const [body, inList] = [new Y.XmlFragment(), new Y.XmlFragment()];
  body.insert(0, [paragraph('Hello')]);
  inList.insert(0, [paragraph('one')]);
  const element = new Y.Map<unknown>();
  element.set('id', 'e1');
  element.set('body', inList);
  const note = { id: 'n1', title: 'T', body, list: Y.Array.from([element]) };
  editor.collection('notes').set('n1', new Y.Map<unknown>(Object.entries(note)));
  await editor.saved();
  const client = testClient();
  await client.initialize({ serverUrl: server.url, userId: 'anna', deviceId: 'phone' });
  await synced(client);

  await client.updateData('notes', 'n1', { body: '<paragraph>Hallo</paragraph>' });
  const list = [{ id: 'e1', body: '<paragraph>1</paragraph>' }];
  await client.addData('notes', { id: 'n1', list });
  await synced(client);
  await editor.until(() => String(inList) === '<paragraph>1</paragraph>');
  expect([editor.record('notes', 'n1').get('body') === body, String(body)]).toEqual([
    true,
    '<paragraph>Hallo</paragraph>',
  ]);

  const before = await client.getLocalData('notes', 'n1');
  const refused: [object, (string | number)[]][] = [
    [{ title: 'U', body: '<h1>Hallo</h1>' }, ['body']],
    [{ title: 'U', body: 5 }, ['body']],
    [{ title: 'U', list: [{ id: 'e0' }, { id: 'e1', body: 'one' }] }, ['list', 1, 'body']],
  ];
  for (const [changes, path] of refused) {
    for (const call of [
      client.updateData('notes', 'n1', changes),
      client.addData('notes', { id: 'n1', ...changes }),
    ]) {
      const error = await call.then(
        () => null,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(RecordError);
      expect(error).toMatchObject({ code: 'INVALID_RECORD', collection: 'notes', issues: [{ path }] });
    }
  }
  expect(await client.getLocalData('notes', 'n1'), 'nothing of them is written').toEqual(before);
  expect(client.getSyncStatus().pendingChanges).toBe(0);

  await client.updateData('notes', 'n1', { body: undefined, list: [{ id: 'e1' }] });
  await synced(client);
  await editor.until(() => String(body) === '<paragraph></paragraph>');
  expect(editor.record('notes', 'n1').get('body')).toBe(body);
});
