import type { IncomingMessage } from 'node:http';
import { expect, it } from 'vitest';
import { readRequest } from '../../../../server/gateways/websocket/upgrade-request.js';

const asked = (url: string) => readRequest({ url } as IncomingMessage, '127.0.0.1');

it.each([
  ['/yjs/anna?rewrites=1', true],
  ['/yjs/anna?times=1&rewrites=1&token=x', true],
  ['/yjs/anna', false],
  ['/yjs/anna?rewrites=', false],
  ['/yjs/anna?rewrites=2', false],
  ['/sync?userId=anna&deviceId=phone&rewrites=1', false],
])('[P10] %s takes rewrites: %s', (url, takes) => {
  expect(asked(url)?.takesRewrites).toBe(takes);
});
