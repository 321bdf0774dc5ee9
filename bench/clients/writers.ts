/** `node --import tsx writers.ts COUNT`: writers in a process of their own, which does by IPC what it is told. */
import { forEachUser } from '../support/population.js';
import { Writer } from '../support/writer.js';

const writers = Array.from({ length: Number(process.argv[2]) }, (_, index) => new Writer(index));
const forEach = (task: (writer: Writer) => Promise<void>) =>
  forEachUser(writers.length, (index) => task(writers[index] as Writer));

/** Each answers with a number. */
const COMMANDS: Readonly<Record<string, (port: number) => Promise<number>>> = {
  async open(port) {
    await forEach((writer) => writer.open(port));
    return writers.length;
  },
  async write() {
    for (const writer of writers) writer.write();
    return writers.length;
  },
  /** Resolves when all that was sent is confirmed. */
  async rest() {
    await Promise.all(writers.map((writer) => writer.rest()));
    return writers.length;
  },
  async confirmed() {
    return writers.reduce((sum, { confirmed }) => sum + confirmed, 0);
  },
  /** How many users lost something that was confirmed to them. */
  async lost(port) {
    let lost = 0;
    await forEach(async (writer) => {
      lost += (await writer.lost(port)).length;
    });
    return lost;
  },
};

export interface Command {
  readonly name: string;
  readonly port: number;
}

process.on('message', async ({ name, port }: Command) => process.send?.(await COMMANDS[name]?.(port)));
process.send?.(writers.length);
