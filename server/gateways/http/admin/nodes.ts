/** The servers that share the store. Apart from the overview, which tells of this server also where the store hangs. */
import type { Request, Response } from 'express';
import { sendJson } from '../compression.js';
import type { AdminOptions } from './options.js';

export async function getNodes(options: AdminOptions, request: Request, response: Response): Promise<void> {
  const { operator, now } = options;
  const nodes = (await operator.store.nodes?.()) ?? [];
  await sendJson(options, request, response, { now: now(), nodes });
}
