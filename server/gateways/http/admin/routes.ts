/** What only the operator may do: the routes of the page and its API, and those for tools. */
import express, { type Request, type RequestHandler, type Response } from 'express';
import { AdminSessions } from '../../guard/admin-sessions.js';
import { postBackup, postUserRestore } from '../backup.js';
import { userOf } from '../request.js';
import { operatorToOwner } from '../to-owner.js';
import { deleteUser, sendExport } from '../users.js';
import { DeviceLooks } from './device-looks.js';
import { LivePages } from './live.js';
import { getNodes } from './nodes.js';
import type { AdminOptions } from './options.js';
import { getOverview } from './overview.js';
import { serveAdminPage } from './page.js';
import { getRecords, getUserHistory, restoreRecord } from './records.js';
import { postRevoke } from './revoke.js';
import { mayStay, operatorOnly, signIn, signOut } from './sign-in.js';
import { getUsers } from './users.js';

type Route = (options: AdminOptions, request: Request, response: Response) => Promise<void>;

/** @param small reads a small JSON body */
export function addAdmin(app: express.Express, options: AdminOptions, small: RequestHandler): void {
  const { config, guard } = options;
  const to = (route: Route) => (request: Request, response: Response) => route(options, request, response);
  if (options.hops !== null)
    app.use('/admin/users/:userId', guard.only, operatorToOwner(options.hops, options));
  app.delete('/admin/users/:userId', guard.only, to(eraseUser));
  app.get('/admin/users/:userId/export', guard.only, to(exportUser));
  app.post('/admin/users/:userId/restore', guard.only, small, to(postUserRestore));
  app.post('/admin/backup', guard.only, small, to(postBackup));
  if (config.auth === 'jwt') app.post('/admin/revoke', guard.only, small, to(postRevoke));
  app.use('/admin/api', pageApi(options, small, to));
  serveAdminPage(app);
}

/** The API of the page. */
function pageApi(
  options: AdminOptions,
  small: RequestHandler,
  to: (route: Route) => RequestHandler,
): express.Router {
  const { config } = options;
  const sessions = new AdminSessions(options.uptime);
  const pages = new LivePages();
  const looks = new DeviceLooks();
  const router = express.Router({ caseSensitive: true, strict: true });
  router.post('/sign-in', small, (request, response) => signIn(options, sessions, request, response));
  router.post('/sign-out', (request, response) => signOut(options, sessions, request, response));
  router.use(operatorOnly(options, sessions));
  router.get('/overview', to(getOverview));
  router.get('/live', (request) =>
    pages.add(options, looks, request, () => mayStay(options, sessions, request)),
  );
  router.get('/nodes', to(getNodes));
  router.get('/users', to(getUsers));
  if (options.hops !== null) router.use('/users/:userId', operatorToOwner(options.hops, options));
  router.get('/users/:userId/devices', to(looks.ofUser));
  router.get('/devices/:deviceId/users', to(looks.usersOf));
  router.get('/restored', to(looks.sinceRestore));
  router.get('/users/:userId/records', to(getRecords));
  router.get('/users/:userId/history', to(getUserHistory));
  router.post('/users/:userId/restore', small, to(restoreRecord));
  router.delete('/users/:userId', to(eraseUser));
  router.get('/users/:userId/export', to(exportUser));
  router.post('/backup', small, to(postBackup));
  if (config.auth === 'jwt') router.post('/revoke', small, to(postRevoke));
  return router;
}

async function eraseUser(options: AdminOptions, request: Request, response: Response): Promise<void> {
  const user = userOf(request);
  const address = options.quotas.addressOf(request);
  const erasure = { user, action: 'erase', address } as const;
  await options.access.performed(erasure, () => deleteUser(options, user, response));
}

async function exportUser(options: AdminOptions, request: Request, response: Response): Promise<void> {
  const user = userOf(request);
  const address = options.quotas.addressOf(request);
  const exported = { user, action: 'export', address } as const;
  await options.access.performed(exported, () => sendExport(options, user, request, response));
}
