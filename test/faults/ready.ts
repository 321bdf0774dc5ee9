import { setTimeout as pause } from 'node:timers/promises';
import { PATIENCE } from '../support/wait.js';
import { read } from './http-writers.js';

/** Resolves when GET /ready answers with that status. */
export async function ready(url: string, status: number, ms = PATIENCE): Promise<void> {
  const deadline = Date.now() + ms;
  for (let answer = 0; answer !== status; await pause(10)) {
    if (Date.now() > deadline) throw new Error(`GET /ready answers ${answer} instead of ${status}`);
    const response = await read(`${url}/ready`);
    await response.arrayBuffer();
    answer = response.status;
  }
}
