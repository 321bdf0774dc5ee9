// @vitest-environment happy-dom
import '../../support/web-globals.js';
import { afterEach, expect, test } from 'vitest';
import { SyncManager, syncManager, syncService } from '../../../client/compat/index.js';
import { syncManager as ofTheEntry } from '../../../client/index.js';
import { cleanScreens, render, renderByItself } from '../../support/rendered.js';
import { AuthService } from './old-app/auth.js';
import { AdminScreen } from './old-app/screen.js';

afterEach(() => syncManager.close());
cleanScreens();

const NOWHERE = 'http://127.0.0.1:1';
test('[C2] an app written for the JSON client runs with its imports swapped', async () => {
  expect(typeof SyncManager).toBe('function');
  expect(new Set([SyncManager.getInstance(), syncService, syncManager, ofTheEntry]).size).toBe(1);
  const auth = new AuthService();
  await auth.logOut(); // before initialize: it must not reject, or the stored user stays
  expect(auth.user).toBeNull();

  const screen = await render(<AdminScreen />);
  renderByItself();
  screen.press('#room'); // before initialize too: it waits
  await auth.logIn(NOWHERE, 'user_anna+test_1');
  await syncManager.addData('registrationRequests', { id: 'q', name: 'Bea', status: 'pending' });
  await syncManager.addData('wards', { id: 'w' });
  await syncManager.addData('adminUsers', { id: 'u' });
  await screen.says('4 pending');
  await screen.says('Bea: pending');
  await screen.says('floor 4 1 wards 1 others');
  screen.press('#q');
  await screen.says('Bea: approved');
  await auth.logOut();
  expect(auth.user).toBeNull();
});
