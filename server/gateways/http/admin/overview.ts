/** How the server does: now, in the last hour, and what an operator should look after. */
import { X509Certificate } from 'node:crypto';
import { readFile, statfs } from 'node:fs/promises';
import type { Request, Response } from 'express';
import { sendJson } from '../compression.js';
import type { AdminOptions } from './options.js';

export async function getOverview(
  options: AdminOptions,
  request: Request,
  response: Response,
): Promise<void> {
  const { lastHour } = options.operator;
  await sendJson(options, request, response, { ...(await overviewOf(options)), points: lastHour.points });
}

/** All but the last hour. */
export async function overviewOf({ config, metrics, operator, registry, overload, ...rest }: AdminOptions) {
  const { store, connections, unsent, damaged } = operator;
  const { rss, heapUsed } = process.memoryUsage();
  return {
    at: rest.now(),
    uptime: Math.round(process.uptime()),
    hindrances: rest.hindrances(),
    overloaded: overload.isOver,
    auth: config.auth,
    connections: connections(),
    documents: { inMemory: registry.documents.length, asleep: registry.asleep },
    unsentBytes: unsent(),
    memory: { process: rss, heap: heapUsed },
    store: { state: store.state, commits: metrics.commits.counts },
    disk: await diskOf(config.dataDir),
    certificate: await certificateOf(config.tlsCert),
    refused: metrics.refused.counts,
    checked: metrics.checked.counts,
    damaged: damaged.first,
    warnings: rest.warnings() ?? [],
    lastBackup: rest.backups.lastAt,
    restoredAt: rest.backups.restoredAt,
    limits: { document: finite(config.maxDocument), historyDays: config.historyDays },
  };
}

/** JSON has no infinity. */
const finite = (limit: number): number | null => (Number.isFinite(limit) ? limit : null);

/** Of the disk that the database is on, in bytes; `null` where it does not tell. */
async function diskOf(folder: string): Promise<{ readonly free: number; readonly size: number } | null> {
  try {
    const { bsize, bavail, blocks } = await statfs(folder);
    return { free: bsize * bavail, size: bsize * blocks };
  } catch {
    return null;
  }
}

/** Until when the certificate is good, in ms since 1970; `null` where TLS ends before the server, or it can't be read. */
async function certificateOf(path: string): Promise<{ readonly validTo: number } | null> {
  if (path === '') return null;
  try {
    return { validTo: Date.parse(new X509Certificate(await readFile(path)).validTo) };
  } catch {
    return null;
  }
}
