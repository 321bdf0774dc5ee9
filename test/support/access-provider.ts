/** A service that says who may see whom, as `ACCESS_URL` names one. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export type Answer =
  | 'read'
  | 'write'
  | 'none'
  | ((response: ServerResponse, request: IncomingMessage) => void);

export interface AccessProvider {
  readonly url: string;
  /** Users that were asked for, in order. */
  readonly asked: string[];
  readonly tokens: string[];
  /** What is answered; `none` for who is not named. */
  readonly modes: Map<string, Answer>;
}

export async function useAccessProvider(path = '/may'): Promise<AccessProvider> {
  const asked: string[] = [];
  const tokens: string[] = [];
  const modes = new Map<string, Answer>();
  const server = createServer((request, response) => {
    const user = new URL(request.url ?? '', 'http://x').searchParams.get('user') ?? '';
    asked.push(user);
    tokens.push(request.headers.authorization ?? '');
    const answer = modes.get(user) ?? 'none';
    if (typeof answer === 'string') response.end(JSON.stringify({ mode: answer }));
    else answer(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, asked, tokens, modes };
}
