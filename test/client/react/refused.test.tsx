// @vitest-environment happy-dom
import { afterEach, expect, test } from 'vitest';
import { SyncProvider, useSyncClient, useSyncedData, useSyncStatus } from '../../../client/react/hooks.js';
import { closeClients, synced, testClient } from '../../support/devices/test-client.js';
import { cleanScreens, render, renderByItself } from '../../support/rendered.js';
import { useServer } from '../../support/use.js';

// The other way round: what is registered last ends first.
afterEach(closeClients);
cleanScreens();

const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i]));

test('[C11 C8] a screen shows what was refused beside the list, which is never empty meanwhile', async () => {
  const server = await useServer({ MAX_STRUCTS: '200' });
  const client = testClient();
  await client.initialize({ serverUrl: server.url, userId: 'anna' });
  await client.addData('notes', { id: 'a' });
  await synced(client);
  const lists: string[] = [];
  const Notes = () => {
    const { data } = useSyncedData('notes');
    const refused = useSyncStatus(({ refused }) => refused);
    const own = useSyncClient();
    const ids = data.map(({ id }) => id).join(' ');
    lists.push(ids);
    return (
      <>
        <p>{`notes: ${ids}.`}</p>
        {refused.map(({ key, id, reason }) => (
          <button
            type="button"
            key={key}
            onClick={() => void own.discardRefused(key)}
          >{`${id}: ${reason}`}</button>
        ))}
      </>
    );
  };
  const screen = await render(
    <SyncProvider client={client}>
      <Notes />
    </SyncProvider>,
  );
  renderByItself();
  await client.addData('notes', { id: 'big', ...many });
  await client.addData('notes', { id: 'c' });
  await screen.says('notes: a c.', 'big: The update has more than 200 structs.');
  expect(lists.filter((ids) => !ids.startsWith('a'))).toEqual([]);
  screen.press('button');
  await screen.until(() => screen.text === 'notes: a c.');
});
