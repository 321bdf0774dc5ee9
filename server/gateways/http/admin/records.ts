/** The records of one user, for the operator: to look at, and to bring back. */
import type { Request, Response } from 'express';
import type { DeviceId } from '../../../../shared/names.js';
import { OPERATOR, type Operation } from '../../../access/access.js';
import type { Origin } from '../../../documents/changes.js';
import { inOrder } from '../../../documents/in-order.js';
import { RecordsView } from '../../../documents/records/records-view.js';
import type { UserDocument } from '../../../documents/user-document.js';
import { hasGone } from '../../../net/gone.js';
import { sendBody, sendJson } from '../compression.js';
import { historyQueryIn, pageOf, restore, restoreIn } from '../history.js';
import { userOrSharedOf } from '../request.js';
import type { AdminOptions } from './options.js';

export async function getRecords(options: AdminOptions, request: Request, response: Response): Promise<void> {
  await withAudited(options, request, { action: 'read' }, async (document) => {
    const texts = await document.writeRecords(() => !hasGone(response));
    const shown = await inOrder(document, () => {
      const { user, revision } = document;
      const head = JSON.stringify({ user, revision }).slice(0, -1);
      return RecordsView.of(document.collections(), texts).toJson(`${head},"collections":`, '}');
    });
    await document.durable();
    await sendBody(options, request, response.type('json'), shown);
  });
}

export async function getUserHistory(
  options: AdminOptions,
  request: Request,
  response: Response,
): Promise<void> {
  const query = historyQueryIn(request);
  await withAudited(options, request, { action: 'history' }, async (document) => {
    await sendBody(options, request, response.type('json'), await pageOf(document, query));
  });
}

/** As a new change, which all devices get. */
export async function restoreRecord(
  options: AdminOptions,
  request: Request,
  response: Response,
): Promise<void> {
  const wanted = restoreIn(request);
  const device = 'admin page' as DeviceId;
  const origin: Origin = { via: 'restore', device, actor: OPERATOR, subscriber: null };
  const { collection, id, revision } = wanted;
  const restored = { action: 'restore', what: { collection, id, revision } } as const;
  await withAudited(options, request, restored, async (document) => {
    await sendJson(options, request, response, await restore(document, origin, wanted));
  });
}

/** The document, once it is in the audit trail that the operator came to it. */
async function withAudited(
  { access, quotas, registry }: AdminOptions,
  request: Request,
  operation: Pick<Operation, 'action' | 'what'>,
  use: (document: UserDocument) => Promise<void>,
): Promise<void> {
  const user = userOrSharedOf(request);
  const address = quotas.addressOf(request);
  await access.performed({ user, address, ...operation }, async () => {
    const { document, release } = await registry.open(user);
    await use(document).finally(release);
  });
}
