// @vitest-environment happy-dom
/** What the guides for apps show, on a real server and beside other devices. */
import '../support/web-globals.js';
import type { ReactNode } from 'react';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { syncManager } from '../../client/index.js';
import { Booking, openSync } from '../../docs/examples/guides/booking.js';
import { BookingToday } from '../../docs/examples/guides/booking-today.js';
import { PatientForm } from '../../docs/examples/guides/patient-form.js';
import { Refused } from '../../docs/examples/guides/refused.js';
import { Saved } from '../../docs/examples/guides/saved.js';
import { JsonDevice } from '../support/devices/json-device.js';
import { cleanScreens, type Rendered, render, renderByItself } from '../support/rendered.js';
import { startServer, type TestServer } from '../support/server.js';

let server: TestServer;
let desk: JsonDevice;
beforeEach(async () => {
  server = await startServer({ MAX_DOCUMENT: '20 KB' });
  desk = await JsonDevice.connect(server.url, 'anna', 'desk');
});
afterEach(async () => {
  await syncManager.logout({ force: true });
  await syncManager.close();
  await desk.close();
  await server.close();
});
cleanScreens();

/** The screen, once the app has begun as that user. */
async function shown(node: ReactNode): Promise<Rendered> {
  await openSync(server.url, 'anna');
  const screen = await render(node);
  renderByItself();
  return screen;
}

function type(screen: Rendered, name: string, text: string): void {
  const input = screen.container.querySelector<HTMLInputElement>(`input[name=${name}]`);
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')?.set?.call(input, text);
  input?.dispatchEvent(new Event('input', { bubbles: true }));
}

test('[C2] the screen that was moved shows what another device sends, and sends what is pressed', async () => {
  const screen = await shown(<Booking />);
  await screen.says('online');
  desk.update('appointments', { id: 'a1', patient: 'Bea', status: 'booked', room: 4 });
  await screen.says('Bea: booked, room 4');
  screen.press('#a1');
  await desk.until(() => desk.store.appointments?.a1?.status === 'arrived');
});

test('[C8] with a filter, a record that no longer fits leaves the screen, and an empty list says why', async () => {
  const screen = await shown(<BookingToday />);
  await screen.says('Nobody is booked.');
  desk.update('appointments', { id: 'a1', patient: 'Bea', status: 'booked', room: 4 });
  await screen.says('All is on the server.', 'Bea, room 4');
  syncManager.disconnect();
  desk.update('appointments', { id: 'a2', patient: 'Abe', status: 'booked', room: 5 });
  screen.press('#a1');
  await screen.says('Nobody is booked.');
  syncManager.connect();
  await screen.says('Abe, room 5', 'All is on the server.');
});

test('[C14] a form keeps what is typed while another device changes the record, and says so', async () => {
  desk.update('patients', { id: 'p1', name: 'Bea', phone: '1' });
  const screen = await shown(<PatientForm id="p1" />);
  await screen.until(() => screen.container.querySelector('input')?.value === '1');
  type(screen, 'phone', '2');
  desk.update('patients', { id: 'p1', name: 'Beate', phone: '3' });
  await screen.says('Somebody else changed the phone number meanwhile.');
  screen.press('[type=submit]');
  await desk.until(() => desk.store.patients?.p1?.phone === '2');
  expect(desk.store.patients?.p1).toEqual({ id: 'p1', name: 'Beate', phone: '2' });
});

test('[C4] the line about what is saved counts what is only on this device', async () => {
  const screen = await shown(<Saved />);
  await screen.says('Everything is saved on the server.');
  await syncManager.disconnect();
  await syncManager.addData('notes', { id: 'n1', text: 'one' });
  await screen.says('1 change is on this device only');
  await syncManager.connect();
  await screen.says('Everything is saved on the server.');
});

test('[C11] what the server refuses is listed with its reason, and given up by a press', async () => {
  const screen = await shown(<Refused />);
  await syncManager.addData('notes', { id: 'n1', text: 'x'.repeat(30_000) });
  await screen.says('A change in notes was refused');
  screen.press('button:last-child');
  await screen.until(() => screen.text === '');
  expect(await syncManager.exportRefused()).toEqual([]);
});
