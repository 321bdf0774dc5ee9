/** Three nodes behind the load balancers of deploy/cluster, which run here as they are. */
import { describe, expect } from 'vitest';
import { postgresAt, withPostgres } from '../../support/postgres.js';
import { type PostgresNode, usePostgresNodes, useRoundRobin } from '../../support/postgres-nodes.js';
import { Client, isMissing, useProxy } from '../../support/proxies.js';
import { PATIENCE } from '../../support/wait.js';

const ADMIN_TOKEN = 'the-admin-token-of-the-tests';
const USERS = ['anna', 'bert', 'carla', 'dora', 'emil', 'fred', 'gina', 'hugo'];

describe.each(['nginx', 'caddy', 'haproxy'] as const)('[O1] three nodes behind %s', (name) => {
  const balanced = (title: string, run: () => Promise<void>) =>
    withPostgres(title, async (context) => {
      if (isMissing(name)) context.skip(`${name} is not installed`);
      await run();
    });

  async function useBalanced(way?: Parameters<typeof usePostgresNodes>[2]) {
    const { nodes, fixture } = await usePostgresNodes(3, { ADMIN_TOKEN, TRUST_PROXY: '127.0.0.1' }, way);
    const proxy = await useProxy(
      name,
      nodes.map(({ port }) => port),
    );
    return { nodes, fixture, client: new Client(proxy) };
  }

  balanced('[N1] devices of three kinds of a user come to one node, and users to all', async () => {
    const { nodes, client } = await useBalanced();
    const there = await Promise.all(
      USERS.map(async (user) => {
        const [native, json] = [client.native(user, 'laptop'), client.json(user, 'phone')];
        await Promise.all([native.synced(), json.next('CONNECTION_CONFIRMED')]);
        return { user, native, json };
      }),
    );
    for (const { user, native, json } of there) {
      json.update('notes', { id: 'a', text: 'of the phone' });
      native.record('notes', 'b').set('text', 'of the laptop');
      await native.until(() => native.json().notes?.a);
      await json.until(() => json.store.notes?.b);
      expect((await client.ask(`/api/sync/${user}`)).text).toContain('of the laptop');
      expect((await client.ask(`/api/history/${user}?collection=notes`)).status).toBe(200);
    }
    const metrics = await Promise.all(nodes.map(({ url }) => metricsOf(url)));
    expect(metrics.map((text) => numberIn(text, /telemed_hops_total\{direction="out"\} (\d+)/))).toEqual([
      0, 0, 0,
    ]);
    const owned = metrics.map((text) => numberIn(text, OWNED));
    expect(owned.reduce((sum, each) => sum + each)).toBe(USERS.length);
    expect(owned.filter((count) => count > 0).length).toBeGreaterThan(1);
  });

  balanced('[A0] whoever signs in at the admin page stays signed in', async () => {
    const { client } = await useBalanced();
    const headers = await client.signIn(ADMIN_TOKEN);
    for (let times = 0; times < 12; times++)
      expect((await client.ask('/admin/api/overview', { headers })).status).toBe(200);
    for (const user of USERS)
      expect((await client.ask(`/admin/api/users/${user}/devices`, { headers })).status).toBe(200);
    expect((await client.ask('/metrics')).status).toBe(404);
  });

  balanced('[O4] a node that stops loses nothing, and its devices come to the others', async () => {
    const { nodes, client } = await useBalanced();
    const devices = USERS.map((user) => client.native(user, 'laptop'));
    await Promise.all(devices.map((device) => device.synced()));
    for (const device of devices) device.record('notes', 'a').set('text', 'before');
    await Promise.all(devices.map((device) => device.saved()));
    await nodes[1]?.app.close();
    for (const device of devices) device.record('notes', 'b').set('text', 'behind it');
    await Promise.all(
      devices.map(async (device, n) => {
        await device.until(() => device.provider.synced);
        await device.saved();
        const all = await client.ask(`/api/sync/${USERS[n]}`);
        expect(JSON.parse(all.text).notes).toHaveLength(2);
      }),
    );
  });

  balanced('[N1 H4] a node that lives and does not reach the database keeps nobody out', async () => {
    const database = postgresAt();
    const lines = [
      await useRoundRobin([database]),
      await useRoundRobin([database]),
      await useRoundRobin([database]),
    ];
    const { nodes, fixture, client } = await useBalanced((url, node) => by(url, lines[node]?.url ?? ''));
    const devices = USERS.map((user) => client.native(user, 'laptop'));
    await Promise.all(devices.map((device) => device.synced()));
    // Which node has whom depends on their ports.
    const owned = await Promise.all(nodes.map(async ({ url }) => numberIn(await metricsOf(url), OWNED)));
    const most = owned.indexOf(Math.max(...owned));
    const [parted, line] = [nodes[most], lines[most]] as [PostgresNode, (typeof lines)[number]];
    line.takeOut(database);
    await fixture.schema.cutConnections();
    const isReady = async (): Promise<boolean> => (await fetch(`${parted.url}/ready`)).ok;
    await expect.poll(isReady, { timeout: PATIENCE }).toBe(false);
    // The time after which its users may go to others has passed.
    await fixture.schema.query("UPDATE node SET beat = now() - interval '11 s' WHERE address = $1", [
      parted.address,
    ]);
    for (const device of devices) device.offline();
    for (const user of USERS) {
      const status = async () => (await client.ask(`/api/sync/${user}`)).status;
      await expect.poll(status, { timeout: PATIENCE }).toBe(200);
    }
    await Promise.all(devices.map((device) => device.online()));
    for (const device of devices) device.record('notes', 'a').set('text', 'meanwhile');
    await Promise.all(devices.map((device) => device.saved()));
    for (const user of USERS) expect((await client.ask(`/api/sync/${user}`)).text).toContain('meanwhile');
    const headers = await client.signIn(ADMIN_TOKEN);
    expect((await client.ask('/admin/api/overview', { headers })).status).toBe(200);
  });
});

/** @returns the address of a database, reached by another way; it may name the folder of a socket as a parameter */
function by(database: string, way: string): string {
  const url = Object.assign(new URL(database), { host: new URL(way).host });
  url.searchParams.delete('host');
  return url.href;
}

const metricsOf = async (url: string): Promise<string> => {
  const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  return answer.text();
};

const OWNED = /telemed_users_owned (\d+)/;
const numberIn = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0);
