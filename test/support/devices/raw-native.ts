import { decodeMessage, type YjsMessage } from '../../../server/protocol/yjs.js';
import { DeviceSocket } from './device-socket.js';

/** A bare socket at the native endpoint, to see and to send single messages. */
export class RawNative extends DeviceSocket<YjsMessage> {
  /** Of an upgrade that was refused. */
  status: number | null = null;

  constructor(url: string, user: string, device?: string, params: Readonly<Record<string, string>> = {}) {
    const asked = new URLSearchParams({ ...(device === undefined ? {} : { deviceId: device }), ...params });
    super(url, `/yjs/${user}${asked.size === 0 ? '' : `?${asked}`}`, device ?? 'the bare socket');
    this.ws.on('unexpected-response', (request, response) => {
      this.status = response.statusCode ?? 0;
      request.destroy();
      this.events.changed();
    });
  }

  /** Resolves when the server's first message came. */
  static async connect(url: string, user: string, device?: string): Promise<RawNative> {
    const raw = new RawNative(url, user, device);
    await raw.until(() => raw.messages.length > 0);
    return raw;
  }

  send(bytes: Uint8Array | string): void {
    this.ws.send(bytes);
  }

  protected read(data: Buffer): YjsMessage {
    return decodeMessage(new Uint8Array(data));
  }
}
