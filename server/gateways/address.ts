import type { IncomingMessage } from 'node:http';

/** Where a request comes from. */
export const addressOf = (request: IncomingMessage): string => request.socket.remoteAddress ?? '';
