/** Three nodes on one PostgreSQL, behind a load balancer that leads each connection to the next. */
import { describe, expect } from 'vitest';
import { run } from '../../../server/cli/commands.js';
import { ask } from '../../support/http-ask.js';
import { user } from '../../support/notes.js';
import { withPostgres } from '../../support/postgres.js';
import {
  type NodeProcess,
  type PostgresNode,
  usePostgresNodes,
  usePostgresProcesses,
  useRoundRobin,
} from '../../support/postgres-nodes.js';
import { bearer, JWT, tokenFor } from '../../support/tokens.js';
import { openNative, openRaw, useJson, useNative } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

const UNPACED = { JSON_PACE: '0' };
const USERS = ['anna', 'bert', 'carla', 'dora', 'emil', 'fred'];
const connectedAt = (nodes: readonly PostgresNode[], user: string): number[] =>
  nodes.flatMap(({ events }, n) =>
    events.some(({ name, fields }) => name === 'connected' && fields.user === user) ? [n] : [],
  );

process.setMaxListeners(0); // each provider listens for the end of the process

describe('many nodes', () => {
  withPostgres('[N1 N2 N4] devices of three kinds meet, whichever node they come to', async () => {
    const { nodes } = await usePostgresNodes(3, UNPACED);
    const balancer = await useRoundRobin(nodes);
    const devices = await Promise.all(
      USERS.map(async (user) => {
        const natives = [await useNative(balancer, user, 'a'), await useNative(balancer, user, 'b')] as const;
        return { user, natives, json: await useJson(balancer, user, 'c') };
      }),
    );
    for (const { user, natives, json } of devices) {
      natives[0].record('notes', 'a').set('text', 'of a');
      natives[1].record('notes', 'b').set('text', 'of b');
      json.update('notes', { id: 'c', text: 'of c' });
      const body = JSON.stringify({
        changes: [
          {
            ...{ type: 'DATA_UPDATE', userId: user, deviceId: 'd' },
            data: { collection: 'notes', document: { id: 'd', text: 'of d' } },
          },
        ],
      });
      const headers = { 'Content-Type': 'application/json' };
      expect((await ask(`${balancer.url}/api/sync/${user}`, { method: 'POST', headers, body })).status).toBe(
        200,
      );
    }
    for (const { user, natives, json } of devices) {
      const all = ['a', 'b', 'c', 'd'];
      for (const each of natives) await each.until(() => all.every((id) => each.json().notes?.[id]));
      await json.until(() => all.every((id) => json.store.notes?.[id]));
      await Promise.all([...natives, json].map((each) => each.saved()));
      expect(connectedAt(nodes, user)).toHaveLength(1);
      // Where the balancer leads each device of a user to its owner by chance, these are the hops.
      for (const { url } of nodes) {
        const read = await ask(`${url}/api/sync/${user}`);
        expect(JSON.parse(String(read.body)).notes).toHaveLength(4);
      }
    }
    const metrics = await Promise.all(
      nodes.map(async ({ url }) => String((await ask(`${url}/metrics`)).body)),
    );
    const sum = (pattern: RegExp) => metrics.reduce((all, text) => all + Number(pattern.exec(text)?.[1]), 0);
    expect(sum(/telemed_users_owned (\d+)/)).toBe(USERS.length);
    expect(sum(/telemed_hops_total\{direction="out"\} (\d+)/)).toBe(
      sum(/telemed_hops_total\{direction="in"\} (\d+)/),
    );
    expect(sum(/telemed_hops_total\{direction="out"\} (\d+)/)).toBeGreaterThan(0);
  });

  withPostgres(
    '[O4 N4] a node that stops: its users are elsewhere at once, with all that they did',
    async () => {
      const { nodes, fixture } = await usePostgresNodes(3);
      const balancer = await useRoundRobin(nodes);
      const devices = await Promise.all(USERS.map((user) => useNative(balancer, user, 'a')));
      for (const [n, device] of devices.entries()) device.record('notes', 'n').set('text', `before ${n}`);
      await Promise.all(devices.map((each) => each.saved()));
      const stopping = nodes[0] as PostgresNode;
      const owned = USERS.filter((user) => connectedAt(nodes, user)[0] === 0);
      balancer.takeOut(stopping);
      expect(await stopping.app.close()).toBe(true);
      const { rows } = await fixture.schema.query(
        'SELECT d.user_id FROM document d JOIN node n ON n.id = d.owner WHERE NOT n.fenced',
      );
      expect(rows.map(({ user_id }) => user_id)).not.toEqual(expect.arrayContaining(owned));
      for (const [n, device] of devices.entries()) device.record('notes', 'n').set('text', `after ${n}`);
      await Promise.all(devices.map((each) => each.online().then(() => each.saved())));
      for (const [n, user] of USERS.entries()) {
        const read = await ask(`${nodes[1]?.url}/api/sync/${user}`);
        expect(JSON.parse(String(read.body)).notes).toEqual([{ id: 'n', text: `after ${n}` }]);
        expect(connectedAt(nodes.slice(1), user)).toHaveLength(1);
      }
    },
  );

  withPostgres('[O3 A0] the operator sees all nodes at any of them, and how many users moved', async () => {
    const ADMIN_TOKEN = 'the-admin-token-of-the-tests';
    const { nodes } = await usePostgresNodes(2, { ADMIN_TOKEN });
    const [stopping, other] = nodes as [PostgresNode, PostgresNode];
    const listed = async () => {
      const { body } = await ask(`${other.url}/admin/api/nodes`, { headers: bearer(ADMIN_TOKEN) });
      const { nodes } = JSON.parse(String(body));
      return nodes.map(({ users, taken, here }: Record<string, unknown>) => [users, taken, here]);
    };
    const look = { timeout: PATIENCE, interval: 100 };
    const devices = await Promise.all(USERS.map((user) => useNative(stopping, user, 'a')));
    for (const device of devices) device.record('notes', 'n').set('text', 'of a');
    await Promise.all(devices.map((each) => each.saved()));
    await expect
      .poll(async () => (await listed()).sort(), look)
      .toEqual([
        [0, 0, true],
        [USERS.length, 0, false],
      ]);
    expect(await stopping.app.close()).toBe(true);
    for (const user of USERS.slice(1)) await ask(`${other.url}/api/sync/${user}`);
    const moved = USERS.length - 1;
    await expect.poll(listed, look).toEqual([[moved, moved, true]]);
    const ending = await run(['nodes'], { HOST: '127.0.0.1', PORT: String(other.port), ADMIN_TOKEN });
    expect(ending?.out).toMatch(
      /^ADDRESS +VERSION +HEARD OF +USERS +TAKEN OVER\n127\.0\.0\.1:\d+ .* 5 +5\n$/,
    );
  });

  withPostgres.each(['SIGKILL', 'SIGSTOP'] as const)(
    '[N3 N4] %s of a node under edits: nothing that was saved is lost, and all devices are equal soon',
    async (signal) => {
      const { nodes, fixture } = await usePostgresProcesses(3);
      const balancer = await useRoundRobin(nodes);
      const devices = await Promise.all(
        USERS.map(async (user) => ({
          ...{ user, saved: [] as string[] },
          a: await useNative(balancer, user, 'a'),
          b: await useNative(balancer, user, 'b'),
        })),
      );
      const write = async (round: string): Promise<void> => {
        for (const { a, b } of devices)
          for (const each of [a, b]) each.record('notes', `${round} ${each === a}`);
        await Promise.all(devices.flatMap(({ a, b }) => [a.saved(), b.saved()]));
        for (const { saved } of devices) saved.push(`${round} true`, `${round} false`);
      };
      await write('before');
      const [stopped] = nodes as [NodeProcess];
      for (const { a } of devices) a.record('notes', 'under way'); // durable or not, it is not lost with the device there
      stopped.signal(signal);
      balancer.takeOut(stopped);
      // The time that a stopped node is given has passed; its sockets say nothing, as those of a lost machine.
      if (signal === 'SIGSTOP')
        await fixture.schema.query("UPDATE node SET beat = now() - interval '11 s' WHERE address = $1", [
          stopped.address,
        ]);
      for (const { a, b } of devices) for (const each of [a, b]) each.offline();
      await Promise.all(devices.flatMap(({ a, b }) => [a.online(), b.online()]));
      await write('meanwhile');
      if (signal === 'SIGSTOP') {
        stopped.signal('SIGCONT');
        // What it has in memory is out of date, and not what it answers.
        for (const { user, saved } of devices) {
          const { status, body } = await ask(`${stopped.url}/api/sync/${user}`);
          expect([status, JSON.parse(String(body)).notes.length]).toEqual([200, saved.length + 1]);
        }
      }
      await write('after');
      for (const { user, saved, a, b } of devices) {
        await a.until(() => saved.every((id) => a.json().notes?.[id]));
        await b.until(() => saved.every((id) => b.json().notes?.[id]));
        expect(a.json()).toEqual(b.json());
        const read = await ask(`${nodes[1]?.url}/api/sync/${user}`);
        expect(JSON.parse(String(read.body)).notes).toHaveLength(saved.length + 1);
      }
      const { rows } = await fixture.schema.query(
        `SELECT d.user_id FROM document d WHERE d.last - d.first + 1 <> (SELECT count(*) FROM update_row u WHERE u.doc = d.doc)
            OR d.revision - d.history_from <> (SELECT count(*) FROM history_row h WHERE h.doc = d.doc)`,
      );
      expect(rows).toEqual([]);
    },
  );

  withPostgres('[N2 S4] who was led to a node that hangs is cut off, and comes to another one', async () => {
    const { nodes, fixture } = await usePostgresProcesses(2);
    const [owner, front] = nodes as [NodeProcess, NodeProcess];
    const first = await useNative(owner, 'anna', 'a');
    first.record('notes', 'n').set('text', 'x');
    await first.saved();
    const led = await useNative(front, 'anna', 'b');
    owner.signal('SIGSTOP');
    await fixture.schema.query("UPDATE node SET beat = now() - interval '11 s' WHERE address = $1", [
      owner.address,
    ]);
    await led.until(() => led.connections === 2 && led.provider.synced);
    expect(led.closes).toEqual([1012]);
    led.record('notes', 'n').set('text', 'y');
    await led.saved();
    const read = await ask(`${front.url}/api/sync/anna`);
    expect(JSON.parse(String(read.body)).notes).toEqual([{ id: 'n', text: 'y' }]);
  });

  withPostgres('[N2] a user whom nobody uses goes to the node that is asked next', async () => {
    const { nodes } = await usePostgresNodes(2, { IDLE_TIMEOUT: '200ms' });
    const [one, two] = nodes as [PostgresNode, PostgresNode];
    const first = await useNative(one, 'anna', 'a');
    first.record('notes', 'n').set('text', 'x');
    await first.saved();
    const second = await useNative(two, 'anna', 'b');
    expect(connectedAt(nodes, 'anna')).toEqual([0]);
    first.close();
    second.close();
    const owned = async () =>
      /telemed_users_owned (\d+)/.exec(String((await ask(`${one.url}/metrics`)).body))?.[1];
    await expect.poll(owned, { timeout: PATIENCE }).toBe('0');
    const third = await useNative(two, 'anna', 'c');
    expect(third.json().notes).toEqual({ n: { text: 'x' } });
    expect(connectedAt(nodes, 'anna')).toEqual([0, 1]);
  });

  withPostgres('[N2] so does one whom a node has loaded on its own account', async () => {
    const { nodes, fixture } = await usePostgresNodes(1, { IDLE_TIMEOUT: '100ms' });
    const [one] = nodes as [PostgresNode];
    const device = await useNative(one, 'anna', 'a');
    device.record('notes', 'n').set('text', 'x');
    await device.saved();
    device.close();
    const owned = async () => (await fixture.schema.query('SELECT owner FROM document')).rows;
    const isFree = () => expect.poll(owned, { timeout: PATIENCE }).toEqual([{ owner: null }]);
    await isFree();
    for await (const part of one.app.export(user('anna'))) expect(part).not.toBe('');
    await isFree();
  });

  withPostgres('[A2 A4] a token that was revoked at one node opens nothing at any', async () => {
    const { nodes } = await usePostgresNodes(2, { ...JWT, ADMIN_TOKEN: 'the-token-of-the-operator' });
    const [one, two] = nodes as [PostgresNode, PostgresNode];
    const token = await tokenFor('anna', { jti: 'one' });
    const open = openRaw(one, 'anna', 'phone', { token });
    await open.until(() => open.messages.length > 0);
    const headers = { Authorization: 'Bearer the-token-of-the-operator', 'Content-Type': 'application/json' };
    const body = JSON.stringify({ jti: 'one' });
    const revoked = await ask(`${two.url}/admin/revoke`, { method: 'POST', headers, body });
    expect(revoked.status).toBe(200);
    const bearer = { Authorization: `Bearer ${token}` };
    for (const { url } of nodes)
      expect((await ask(`${url}/api/sync/anna`, { headers: bearer })).status).toBe(401);
    expect((await open.end()).code).toBe(4401);
  });

  withPostgres('[N2] who follows a user at a node that lost it is sent to the other one', async () => {
    const { nodes, fixture } = await usePostgresNodes(2);
    const [one, two] = nodes as [PostgresNode, PostgresNode];
    const device = openNative(one, 'anna', 'a');
    await device.synced();
    device.record('notes', 'n').set('text', 'x');
    await device.saved();
    // As if the first had not been reached for 10 s.
    await fixture.schema.query('UPDATE document SET owner = NULL');
    const other = await useNative(two, 'anna', 'b');
    expect(connectedAt(nodes, 'anna')).toEqual([0, 1]);
    await device.until(() => device.closes.length > 0);
    other.record('notes', 'n').set('text', 'y');
    await device.until(() => device.json().notes?.n?.text === 'y');
    expect(device.closes).toEqual([1012]);
  });
});
