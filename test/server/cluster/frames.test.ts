import type { Writable } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as ws from 'ws';
import { closeFrame, Frames } from '../../../server/cluster/frames.js';
import { SyncError } from '../../../server/errors.js';
import { runs } from '../../support/runs.js';

interface Framed {
  readonly size: number;
  readonly opcode: number;
  readonly fin: boolean;
  readonly mask: boolean;
}
const OPCODES = { continuation: 0, binary: 2, close: 8, ping: 9 };

/** What `ws` has for itself, too. */
const { Receiver, Sender } = ws as unknown as {
  readonly Sender: { frame(data: Buffer, how: object): Buffer[] };
  readonly Receiver: new (how: {
    isServer: boolean;
  }) => Writable & { on(event: 'conclude', listener: (code: number, reason: Buffer) => void): void };
};

function bytesOf({ size, ...how }: Framed): Buffer {
  return Buffer.concat(Sender.frame(Buffer.alloc(size, 0x88), { ...how, readOnly: true, rsv1: false }));
}

const framed = fc.record({
  size: fc.oneof(fc.constantFrom(0, 1, 125, 126, 65_535, 65_536), fc.nat(300)),
  opcode: fc.constantFrom(OPCODES.continuation, OPCODES.binary, OPCODES.ping),
  fin: fc.boolean(),
  mask: fc.boolean(),
});

test('[O4] between two frames, however they are cut, and nowhere else, another one has its place', () => {
  fc.assert(
    fc.property(
      fc.array(framed, { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(1_000), { maxLength: 30 }),
      (all, cuts) => {
        const frames = new Frames();
        const ends = new Set([0]);
        for (const end of all.map((each) => bytesOf(each).length)) ends.add(Math.max(...ends) + end);
        const bytes = Buffer.concat(all.map(bytesOf));
        for (let at = 0, next = 0; at < bytes.length; next++) {
          const to = at + 1 + (cuts[next] ?? bytes.length);
          frames.pass(bytes.subarray(at, to));
          at = Math.min(to, bytes.length);
          expect(frames.takesAnother).toBe(ends.has(at));
        }
      },
    ),
    { numRuns: runs(300) },
  );
});

test('[O4] none has its place behind a close', () => {
  const frames = new Frames();
  frames.pass(bytesOf({ size: 2, opcode: OPCODES.close, fin: true, mask: false }));
  expect(frames.takesAnother).toBe(false);
});

test('[O4] what is put there is read as a close, with its code and reason', async () => {
  const error = new SyncError('RESTARTING');
  const receiver = new Receiver({ isServer: false });
  const read = new Promise((resolve) =>
    receiver.on('conclude', (code, reason) => resolve([code, `${reason}`])),
  );
  receiver.write(closeFrame(error));
  expect(await read).toEqual([1012, error.message]);
});
