/** Another user while something large happens: how long the server answers nobody else. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Scope } from './scope.js';

/** In a process of its own: what the load itself takes is no stall of the server. */
export class Bystander {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async watch(port: number, scope: Scope): Promise<Bystander> {
    const url = `ws://127.0.0.1:${port}/yjs/bystander?deviceId=desk`;
    const child = spawn(process.execPath, ['--import', 'tsx', 'bench/clients/pinger.ts', url], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    scope.atEnd(() => child.kill('SIGKILL'));
    await once(child, 'message');
    return new Bystander(child);
  }

  /** The longest wait for an answer since the last call, in ms. */
  async stall(): Promise<number> {
    const answer = once(this.#child, 'message');
    this.#child.send('stall');
    return (await answer)[0] as number;
  }
}
