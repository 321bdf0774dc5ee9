import { networkInterfaces } from 'node:os';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SyncError } from '../../server/errors.js';
import { Counter, Histogram, Metrics } from '../../server/metrics.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import type { TestServer } from '../support/server.js';
import { openRaw, useJson, useNative, useRaw, useServer } from '../support/use.js';

const read = async (server: TestServer): Promise<string> => (await fetch(`${server.url}/metrics`)).text();

/** The value of a series, 0 where there is none. */
function seriesOf(text: string, series: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`telemed_${series} `));
  return Number(line?.split(' ').at(-1) ?? 0);
}

describe('[O3] the format of Prometheus', () => {
  test('a counter, with and without a label', () => {
    const plain = new Counter({ name: 'a_total', help: 'All.' });
    plain.add();
    plain.add('', 4);
    const labelled = new Counter({ name: 'b_total', help: 'By kind.', label: 'kind' });
    labelled.add('x');
    labelled.add('y', 2);
    expect([...plain.render(), ...labelled.render()]).toEqual([
      '# HELP telemed_a_total All.',
      '# TYPE telemed_a_total counter',
      'telemed_a_total 5',
      '# HELP telemed_b_total By kind.',
      '# TYPE telemed_b_total counter',
      'telemed_b_total{kind="x"} 1',
      'telemed_b_total{kind="y"} 2',
    ]);
  });

  test('a histogram counts up from bucket to bucket; its bounds belong to them', () => {
    const histogram = new Histogram({ name: 'h', help: 'Times.' }, [0.5, 1]);
    for (const value of [0.25, 0.5, 0.75, 3]) histogram.observe(value);
    expect(histogram.render().slice(2)).toEqual([
      'telemed_h_bucket{le="0.5"} 2',
      'telemed_h_bucket{le="1"} 3',
      'telemed_h_bucket{le="+Inf"} 4',
      'telemed_h_sum 4.5',
      'telemed_h_count 4',
    ]);
  });

  test('every line is a comment or a series with a number, every series is described once', () => {
    const metrics = new Metrics();
    onTestFinished(() => metrics.close());
    metrics.refused.add('NOT_FOUND');
    metrics.commitTime.observe(0.1);
    const lines = metrics.render().trimEnd().split('\n');
    const series = /^telemed_[a-z_]+(\{[a-z]+="[^"]+"\})? [0-9.e+-]+$/;
    for (const line of lines) expect(line).toMatch(line.startsWith('#') ? /^# (HELP|TYPE) telemed_/ : series);
    const types = lines.filter((line) => line.startsWith('# TYPE'));
    expect(new Set(types).size).toBe(types.length);
  });
});

describe('[O3] GET /metrics', () => {
  test('what happens is counted, and nobody is named', async () => {
    const server = await useServer();
    const json = await useJson(server, 'anna-k-1987', 'annas-phone');
    const native = await useNative(server, 'anna-k-1987', 'annas-tablet');
    json.update('notes', { id: 'a-note', text: 'something' });
    await json.saved();
    await expect.poll(() => native.json()).toHaveProperty('notes');
    json.send({ type: 'NOTHING', userId: 'anna-k-1987', deviceId: 'annas-phone' });
    await json.next('ERROR');
    await fetch(`${server.url}/api/sync/anna-k-1987`);
    await fetch(`${server.url}/api/sync/${'x'.repeat(200)}`);
    const text = await read(server);
    expect(text).not.toMatch(/anna|a-note|notes|something/);
    for (const series of [
      'connections{protocol="yjs"}',
      'connections{protocol="json"}',
      'documents',
      'store_state{state="ready"}',
      'refused_total{code="UNKNOWN_TYPE"}',
      'refused_total{code="INVALID_IDENTITY"}',
      'http_requests_total{status="200"}',
      'http_requests_total{status="400"}',
    ]) {
      expect([series, seriesOf(text, series)]).toEqual([series, 1]);
    }
    for (const series of [
      'messages_received_total{protocol="yjs"}',
      'messages_received_total{protocol="json"}',
      'messages_sent_total{protocol="yjs"}',
      'messages_sent_total{protocol="json"}',
      'received_bytes_total{protocol="json"}',
      'sent_bytes_total{protocol="json"}',
      'commits_total{result="saved"}',
      'commit_seconds_count',
      'resident_memory_bytes',
      'event_loop_lag_seconds{quantile="0.99"}',
    ]) {
      expect([series, seriesOf(text, series) > 0]).toEqual([series, true]);
    }
    expect(seriesOf(text, 'commit_seconds_count')).toBe(seriesOf(text, 'commits_total{result="saved"}'));
  });

  test('refused upgrades are counted by code, closed connections are not there any more', async () => {
    const server = await useServer({ MAX_SOCKETS_PER_USER: '1' });
    const first = await useRaw(server, 'anna');
    const second = openRaw(server, 'anna');
    expect(await second.until(() => second.status)).toBe(429);
    await first.close();
    await expect.poll(async () => seriesOf(await read(server), 'connections{protocol="yjs"}')).toBe(0);
    expect(seriesOf(await read(server), 'refused_total{code="TOO_MANY_SOCKETS"}')).toBe(1);
  });

  test('commits that fail are told from those that are saved', async () => {
    const store = new MemoryStore();
    const server = await useServer({}, { store });
    const device = await useJson(server, 'anna', 'phone');
    store.commit = () => Promise.reject(new SyncError('NOT_SAVED'));
    device.update('notes', { id: 'n1' });
    await device.end();
    const text = await read(server);
    expect(seriesOf(text, 'commits_total{result="failed"}')).toBeGreaterThan(0);
  });
});

describe('[O3] who may read it', () => {
  const status = async (server: TestServer, headers: Record<string, string> = {}): Promise<number> =>
    (await fetch(`${server.url}/metrics`, { headers })).status;

  test('without ADMIN_TOKEN this machine, but nobody for whom a proxy on it speaks', async () => {
    const server = await useServer();
    expect(await status(server)).toBe(200);
    expect(await status(server, { 'X-Forwarded-For': '127.0.0.1' })).toBe(403);
    expect(await status(server, { Forwarded: 'for=127.0.0.1' })).toBe(403);
  });

  const outside = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');

  test.skipIf(outside === undefined && !process.env.CI)('and no other address', async () => {
    const server = await useServer({ HOST: '0.0.0.0' });
    const url = `http://${outside?.address}:${server.port}`;
    expect((await fetch(`${url}/metrics`)).status).toBe(403);
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  test('with it, who has it, and this machine no longer by itself', async () => {
    const server = await useServer({ ADMIN_TOKEN: 'a-long-admin-secret' });
    expect(await status(server)).toBe(401);
    expect(await status(server, { Authorization: 'Bearer a-long-admin-secre' })).toBe(401);
    expect(await status(server, { Authorization: 'Bearer a-long-admin-secret!' })).toBe(401);
    expect(await status(server, { Authorization: 'a-long-admin-secret' })).toBe(401);
    const headers = { Authorization: 'Bearer a-long-admin-secret', 'X-Forwarded-For': '1.1.1.1' };
    expect(await status(server, headers)).toBe(200);
  });
});
