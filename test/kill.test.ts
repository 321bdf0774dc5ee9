import { describe, expect, it } from 'vitest';
import * as Y from 'yjs';
import { runBackupKills } from './faults/backup-kills.js';
import { runCrashes } from './faults/crash.js';
import { runEio } from './faults/eio.js';
import { runHangs } from './faults/hang.js';
import { canInject } from './faults/injector.js';
import { canRecord } from './faults/recorded-disk.js';
import { client, Server } from './support/replicas.js';
import { PATIENCE } from './support/wait.js';

const CI = process.env.CI === 'true';
/** The build server has to prove it; elsewhere the tool may be missing. */
const noRecorder = !canRecord() && !CI;
const noTracer = !canInject() && !CI;
const noInjector = noRecorder || noTracer;

describe('the server is killed under load, and started again on the same folder', () => {
  // More rounds, with other seeds: `npm run test:faults`.
  it(
    '[N3 P6 P2 H5] all that was seen or confirmed is there',
    async () => {
      const result = await runCrashes({ seed: 6, rounds: 2 });
      expect(result.problems).toEqual([]);
      expect(result.rounds).toBe(2);
      expect(result.confirmations).toBeGreaterThan(0);
    },
    4 * PATIENCE,
  );

  it.skipIf(noRecorder)(
    noRecorder
      ? '[P6] SKIPPED: it takes Linux and a C compiler (cc) to record what is synced'
      : '[N3 P6 P2] the power goes with it: all that was seen or confirmed had been synced',
    async () => {
      const result = await runCrashes({ seed: 8, rounds: 2, power: true });
      expect(result.problems).toEqual([]);
      expect(result.confirmations).toBeGreaterThan(0);
    },
    4 * PATIENCE,
  );

  it.skipIf(noInjector)(
    noInjector
      ? '[P3] SKIPPED: strace is missing, or not permitted to trace'
      : '[P3 N3 P6] syncs fail: writers are told, the store works again by itself, and nothing is lost',
    async () => {
      const result = await runEio({ seed: 8, rounds: 2 });
      expect(result.problems).toEqual([]);
      expect(result.failures).toBeGreaterThan(0);
      expect(result.recoveries).toBeGreaterThan(0);
    },
    4 * PATIENCE,
  );

  // Found by these rounds.
  it.each([
    ['wins', 20, 10, { phone: 1, laptop: 1 }],
    // What the phone made was known to nobody, and the phone itself has collected it: the exclusion of D4.
    ['loses', 10, 20, { laptop: 1 }],
  ])(
    '[D4 P6] a saved record made apart stays when one whose message was lost %s',
    (_, phoneId, laptopId, expected) => {
      const server = new Server();
      const [phone, laptop] = [client(phoneId), client(laptopId)];
      laptop.getMap('consultations').set('c', new Y.Map([['laptop', 1]]));
      server.sync(laptop);
      phone.getMap('consultations').set('c', new Y.Map([['phone', 1]]));
      Y.applyUpdate(phone, Y.encodeStateAsUpdate(laptop));
      server.restart();
      server.sync(phone);
      server.sync(laptop);
      expect(server.json()).toEqual({ consultations: { c: expected } });
      for (const device of [phone, laptop]) {
        expect(device.getMap('consultations').toJSON()).toEqual({ c: expected });
      }
    },
  );

  it.skipIf(noTracer)(
    noTracer
      ? '[P8] SKIPPED: strace is missing, or not permitted to trace'
      : '[P8 O4] syncs hang: /ready fails, writers are told, the process ends in time, and nothing is lost',
    async () => {
      const result = await runHangs({ seed: 8, rounds: 2, short: true });
      expect(result.problems).toEqual([]);
      expect(result.rounds).toBe(2);
    },
    8 * PATIENCE,
  );
});

describe('a backup, and a restore, is killed at a random moment', () => {
  it(
    '[P11] no part of one passes for a backup, or for a database, seed 6',
    async () => {
      const { kills, problems } = await runBackupKills({ seed: 6, rounds: 1 });
      expect(problems).toEqual([]);
      expect(kills).toBeGreaterThan(0);
    },
    8 * PATIENCE,
  );
});
