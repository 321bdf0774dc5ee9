/** The way to the database is cut, and is whole again: what was sent meanwhile lies still for as long again. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { joinSockets } from '../../../support/joined-sockets.js';
import { Author, notesOf, stateReached, user, writeNotes } from '../../../support/notes.js';
import { PostgresFixture, postgresAt, postgresUrl } from '../../../support/postgres.js';
import { useServer } from '../../../support/use.js';
import { PATIENCE } from '../../../support/wait.js';

const ANNA = user('anna');

/** A way to the database on which connections fall silent for good. */
async function useWay() {
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((node) => {
    const database = connect(postgresAt());
    joinSockets(node, database);
    for (const socket of [node, database]) {
      sockets.add(socket);
      if (isCut) socket.pause();
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const fallSilent = () => {
    for (const socket of sockets) socket.pause();
  };
  return {
    port: (server.address() as AddressInfo).port,
    /** Those that are made later are as ever. */
    fallSilent,
    /** Those that are made before it is mended, too. */
    cut: () => {
      isCut = true;
      fallSilent();
    },
    mend: () => {
      isCut = false;
    },
  };
}

/** @returns the address of a database, reached at this port; it may name the folder of a socket as a parameter */
function at(port: number, database: string): string {
  const url = Object.assign(new URL(database), { host: `127.0.0.1:${port}` });
  url.searchParams.delete('host');
  return url.href;
}

describe.skipIf(postgresUrl() === '')('a store whose way to PostgreSQL was cut', () => {
  test('[P3] [P8] goes on as soon as there is one, over new connections, before any limit is over', async () => {
    const fixture = await PostgresFixture.create();
    const way = await useWay();
    let isWhole = true;
    let looksInVain = 0;
    const reaches = async (): Promise<boolean> => {
      if (!isWhole) looksInVain++;
      return isWhole;
    };
    const store = await fixture.open({
      url: at(way.port, fixture.schema.url),
      ...{ beat: 20, reaches, patience: { slow: 10 * PATIENCE, timeout: 20 * PATIENCE } },
    });
    onTestFinished(async () => {
      await store.close();
      await fixture.remove();
    });
    await store.load(ANNA);
    await writeNotes(store, ANNA, 1);
    isWhole = false;
    way.fallSilent();
    const under = store.commit(ANNA, { update: new Author().set('meanwhile', 1), revision: 2 });
    const failed = expect(under).rejects.toMatchObject({ code: 'NOT_SAVED' });
    await expect.poll(() => looksInVain, { timeout: PATIENCE }).toBeGreaterThan(1);
    expect(store.state).toBe('ready'); // while nobody can tell, the database may just be slow
    isWhole = true;
    await failed;
    await stateReached(store, 'ready');
    expect(notesOf(await store.load(ANNA))).toMatchObject({ n0: 0 });
  });

  test('[P8] [H4] says that it is not ready, though nobody asks it for anything, until it is back', async () => {
    const fixture = await PostgresFixture.create();
    onTestFinished(() => fixture.remove());
    const way = await useWay();
    let isWhole = true;
    const store = await fixture.open({
      url: at(way.port, fixture.schema.url),
      ...{ beat: 20, reaches: async () => isWhole, patience: { slow: 500, timeout: 2_000 } },
    });
    const server = await useServer({}, { store });
    const ready = async () => {
      const answer = await fetch(`${server.url}/ready`);
      const { reasons = [] } = (await answer.json()) as { reasons?: { code: string }[] };
      return [answer.status, ...reasons.map(({ code }) => code)];
    };
    const becomes = (expected: unknown[]) => expect.poll(ready, { timeout: PATIENCE }).toEqual(expected);
    await becomes([200]);
    isWhole = false;
    way.cut();
    await becomes([503, 'DISK_SLOW']);
    await becomes([503, 'STORE_REOPENING']);
    await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    isWhole = true;
    way.mend();
    await becomes([200]);
    await store.load(ANNA);
  });

  test('[P3] [P8] asks for no connection before there is one, and looks each second', async () => {
    const fixture = await PostgresFixture.create();
    let isWhole = true;
    const delays: number[] = [];
    const store = await fixture.open({
      beat: 20,
      reaches: async () => isWhole,
      onRetry: (_cause, delay) => delays.push(delay),
      wait: async () => {
        isWhole = delays.length > 5;
      },
    });
    onTestFinished(async () => {
      await store.close();
      await fixture.remove();
    });
    isWhole = false;
    await fixture.schema.cutConnections();
    await stateReached(store, 'reopening');
    await stateReached(store, 'ready');
    expect(delays).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  });

  test('[P3] asks for one where nobody can tell, as where the address is looked for', async () => {
    const fixture = await PostgresFixture.create();
    const store = await fixture.open({ beat: 20, reaches: async () => null });
    onTestFinished(async () => {
      await store.close();
      await fixture.remove();
    });
    await fixture.schema.cutConnections();
    await stateReached(store, 'reopening');
    await stateReached(store, 'ready');
  });
});
