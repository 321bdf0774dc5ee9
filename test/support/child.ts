import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A TypeScript program of test/support as a process of its own; `command` is what turns into it, as `env` does. */
export function startProgram(
  file: string,
  args: readonly string[],
  command: readonly string[] = [],
): ChildProcess {
  const [program = '', ...more] = [...command, process.execPath, '--import', 'tsx'];
  return spawn(program, [...more, `test/support/${file}`, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Calls back for each line that the process prints. */
export function onLine(child: ChildProcess, listener: (line: string) => void): void {
  if (child.stdout) createInterface({ input: child.stdout }).on('line', listener);
}

/** Resolves with what the process wrote to its standard error, once it has ended. */
export function ended(
  child: ChildProcess,
): Promise<{ code: number | null; signal: string | null; errors: string }> {
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, errors }));
  });
}
