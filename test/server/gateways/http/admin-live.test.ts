/** The stream that tells the admin page how the server does, where the server stops (O4). */
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import { LiveStreams } from '../../../../server/gateways/http/admin/live.js';
import type { AdminOptions } from '../../../../server/gateways/http/admin/options.js';
import type { Point } from '../../../../server/last-hour.js';
import { Metrics } from '../../../../server/metrics.js';

/** A server that is to stop just while the overview is put together can't be had but by its parts. */
function stoppable() {
  const listeners = new Set<(point: Point | null) => void>();
  const onPoint = (listener: (point: Point | null) => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const options = {
    config: { dataDir: '.', tlsCert: '', auth: 'none', maxDocument: 1, historyDays: 1 },
    metrics: new Metrics(),
    registry: { documents: [], asleep: 0 },
    overload: { isOver: false },
    now: () => 1,
    hindrances: () => [],
    warnings: () => [],
    backups: { lastAt: null },
    operator: {
      store: { state: 'ready' },
      lastHour: { points: [], onPoint },
      connections: () => ({ yjs: 0, json: 0 }),
      unsent: () => 0,
      damaged: { first: [], has: () => false },
    },
  } as unknown as AdminOptions;
  const stop = () => {
    for (const listener of [...listeners]) listener(null);
  };
  return { options, listeners, stop };
}

test('[O4] nothing is written to a page that reads slowly once the server has ended its stream', async () => {
  const { options, listeners, stop } = stoppable();
  const errors: unknown[] = [];
  const app = express();
  const ended = new Promise<void>((resolve) => {
    app.get('/', async (_request, response) => {
      response.on('error', (error) => errors.push(error));
      response.once('close', resolve);
      await new LiveStreams().add(options, response, () => {
        response.write(Buffer.alloc(2 ** 26)); // more than any socket takes: it stays undrained
        queueMicrotask(stop); // while the overview is put together
        return true;
      });
      setImmediate(() => page.destroy());
    });
  });
  const server = app.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const page = connect((server.address() as AddressInfo).port, '127.0.0.1');
  page.pause();
  page.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await ended;
  expect(errors).toEqual([]);
  expect(listeners.size).toBe(0);
});
