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

it.each([
  ['/sync?xuserId=no&userId=anna&userId=bert&deviceId=phone', 'anna', 'phone'],
  ['/sync?deviceId=my+phone&app=1&userId=anna%2Bb', 'anna+b', 'my phone'],
  ['/sync?userId=a+b&userIdX=no&deviceId=p%3D1', 'a+b', 'p=1'],
  ['/sync?userId&deviceId=phone&userId=anna', 'anna', 'phone'],
  ['/sync?userId=&deviceId=phone', null, 'phone'],
  ['/sync?', null, null],
])('[D6] %s is of user %s and device %s: the first parameter of a name counts', (url, user, device) => {
  expect(asked(url)).toMatchObject({ user, device });
});
