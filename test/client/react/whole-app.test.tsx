// @vitest-environment happy-dom
import '../../support/web-globals.js';
import { afterEach, expect, test } from 'vitest';
import { syncManager } from '../../../client/compat/index.js';
import { JsonDevice } from '../../support/devices/json-device.js';
import { cleanScreens, render, renderByItself } from '../../support/rendered.js';
import { startServer, type TestServer } from '../../support/server.js';
import { watchConsultations } from './old-app/audit-log.js';
import { AuthService } from './old-app/auth.js';
import { BookingScreen } from './old-app/booking.js';
import { PatientFile } from './old-app/patient-file.js';
import { PrescriptionService } from './old-app/prescriptions.js';
import { AdminScreen } from './old-app/screen.js';
import { forgetEverything, goOnline, handOver } from './old-app/session.js';
import { savedServer, syncByItself, useServer } from './old-app/settings.js';
import { SyncBadge } from './old-app/sync-badge.js';

let server: TestServer | undefined;
afterEach(async () => {
  await syncManager.close();
  await server?.close();
});
cleanScreens();

test('[C2] ten modules of an app, one import each swapped, work beside a JSON device', async () => {
  server = await startServer();
  const auth = new AuthService();
  expect(await savedServer()).toBeNull();
  await auth.logOut(); // as the app does at its start
  const screen = await render(
    <>
      <SyncBadge />
      <BookingScreen />
      <PatientFile />
      <AdminScreen />
    </>,
  );
  renderByItself();
  const log = watchConsultations();
  await auth.logIn('http://127.0.0.1:1', 'anna');
  expect(await useServer(server.url)).toBe(server.url);
  await syncByItself(false);
  const service = new PrescriptionService();
  const id = await service.prescribe('Ibuprofen');
  await screen.says('Ibuprofen refills 2', 'badge offline unsent');

  const desk = await JsonDevice.connect(server.url, 'anna', 'old-desk');
  desk.update('doctors', { id: 'd', name: 'Dr. Wu' });
  desk.update('patients', { id: 'p', name: 'Bea Lang' });
  desk.update('consultations', { id: 'c', note: 'first' });
  desk.update('registrationRequests', { id: 'q', name: 'Omar', status: 'pending' });
  await desk.saved();
  expect(await goOnline()).toBe(true);
  await screen.says('Book Dr. Wu', 'Bea Lang', '1 consultations', 'Omar: pending');
  expect(log.lines.some((line) => line.includes('consultations'))).toBe(true);
  log.stop();

  screen.press('#book-d');
  await screen.says('Dr. Wu booked');
  await desk.until(() => desk.store.appointments?.['with-d']?.status === 'booked');
  screen.press('#come-with-d');
  expect(await service.refill(id)).toBe(1);
  await desk.until(() => desk.store.appointments?.['with-d']?.status === 'arrived');
  await desk.until(() => desk.store.prescriptions?.[id]?.refills === 1);
  screen.press('#refresh');
  screen.press('#cancel-with-d');
  screen.press('#q');
  await service.withdraw(id);
  await desk.until(() => !desk.store.appointments?.['with-d'] && !desk.store.prescriptions?.[id]);
  await desk.until(() => desk.store.registrationRequests?.q?.status === 'approved');
  expect(await service.all()).toEqual([]);

  expect(await handOver('bert')).toBe('bert');
  await screen.says('0 consultations');
  await forgetEverything();
  await auth.logOut();
  expect(auth.user).toBeNull();
  await desk.close();
});
