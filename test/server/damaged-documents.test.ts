import { expect, test } from 'vitest';
import { DamagedDocuments } from '../../server/damaged-documents.js';
import { SyncError } from '../../server/errors.js';
import { silentLog } from '../../server/log.js';
import { user } from '../support/notes.js';

test('[P5] of very many damaged documents the operator is told of some, and of each who is asked for', () => {
  const damaged = new DamagedDocuments(silentLog, () => 1);
  const name = (index: number) => user(`user-${index}`);
  for (let index = 0; index < 150; index++) damaged.note(name(index), new SyncError('DOCUMENT_CORRUPT'));
  expect([damaged.first.length, damaged.first[0]?.user]).toEqual([100, name(0)]);
  expect([damaged.has(name(149)), damaged.has(name(150))]).toEqual([true, false]);
  damaged.note(name(149), null);
  expect(damaged.has(name(149))).toBe(false);
});
