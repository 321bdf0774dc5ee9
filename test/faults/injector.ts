import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { inTime } from '../support/wait.js';

/** Whether strace may make calls of other processes fail here. */
export const canInject = (): boolean =>
  spawnSync('strace', ['-o', '/dev/null', '-e', 'inject=fdatasync:error=EIO:when=1', 'true']).status === 0;

/** Calls of a process fail, or take long, while this is attached to it; `what` is in strace's words. */
export class Injector {
  readonly #strace: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(pid: number, calls: string, what: string) {
    const inject = `inject=${calls}:${what}`;
    const args = ['-f', '-qq', '-p', `${pid}`, '-o', '/dev/null', '-e', `trace=${calls}`, '-e', inject];
    this.#strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'ignore'] });
    this.#ended = once(this.#strace, 'close');
  }

  /** Lets go of the process, which goes on; by force where a call is being delayed. */
  async detach(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.#strace.kill(signal);
    await inTime(this.#ended, () => 'the end of strace');
  }
}
