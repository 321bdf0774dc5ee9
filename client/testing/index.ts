/**
 * telemed-sync/testing: a ward for the tests of an app, which play "offline, edit, back". The server is the real one,
 * with its disk in memory, and so are the clients; the network and the clock do what the test says. No test waits for
 * time to pass, and nothing is mocked. It runs on Node, in Vitest, Jest and node:test.
 *
 * It needs the server: `npm install --save-dev telemed-sync-server`.
 */
import { TestWard, type TestWardOptions } from './ward.js';

export type { JsonDevice, JsonRefusal } from './json-device.js';
export type { DeviceOptions, HttpAnswer, HttpRequest, TestClock, TestWard, TestWardOptions } from './ward.js';
export type { Duration } from './ward-clock.js';

/**
 * Starts a server and devices of one user; resolves when they are connected.
 *
 * @throws Error where `telemed-sync-server` is not installed, or it refuses an option (its words)
 * @example
 * const ward = await createTestWard({ devices: ['phone', 'desk'] });
 * const id = await ward.device('desk').addData('appointments', { status: 'booked', room: 4 });
 * await ward.settled();
 * ward.cut('phone');
 * await ward.device('phone').updateData('appointments', id, { room: 7 });
 * await ward.device('desk').updateData('appointments', id, { status: 'arrived' });
 * ward.mend('phone');
 * await ward.settled();
 * ward.device('desk').getRecord('appointments', id); // { id, status: 'arrived', room: 7 }
 * await ward.close();
 */
export const createTestWard = (options: TestWardOptions = {}): Promise<TestWard> => TestWard.open(options);
