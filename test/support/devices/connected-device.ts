import { WebSocket } from 'ws';
import { Connection, type ConnectionReport } from '../../../client/connection/connection.js';
import { noConnectivity } from '../../../client/platform/connectivity.js';
import type { WebSocketConstructor } from '../../../client/platform/platform.js';
import { standardParts } from '../../../client/platform/standard.js';
import { LivePresence } from '../../../client/presence/presence.js';
import { PlainSource } from '../plain-source.js';
import { Watched } from '../wait.js';

let lastClientId = 1_000;

/** A device with our connection to a real server. */
export class ConnectedDevice {
  readonly source: PlainSource;
  readonly presence: LivePresence;
  readonly connection: Connection;
  report: ConnectionReport | null = null;
  /** The states that it went through. */
  readonly states: string[] = [];
  readonly #events = new Watched();

  /** Connects only when `connection.start()` is called. */
  constructor(
    serverUrl: string,
    userId: string,
    source = new PlainSource(++lastClientId),
    getToken?: () => Promise<string>,
  ) {
    this.source = source;
    this.presence = new LivePresence(source.doc, standardParts.clock);
    this.connection = new Connection({
      source,
      serverUrl,
      userId,
      deviceId: `device-${source.doc.clientID}`,
      platform: {
        WebSocket: WebSocket as unknown as WebSocketConstructor,
        fetch: standardParts.fetch,
        clock: standardParts.clock,
        connectivity: noConnectivity,
        random: () => 0,
        newId: standardParts.newId,
      },
      presence: this.presence,
      ...(getToken && { getToken }),
      onChange: (report) => {
        this.report = report;
        this.states.push(report.connection);
        this.#events.changed();
      },
    });
    this.presence.subscribe(() => this.#events.changed());
    source.doc.on('update', () => this.#events.changed());
  }

  get records(): Record<string, unknown> {
    return this.source.doc.getMap('patients').toJSON();
  }

  /** Starts it; resolves when it is online. */
  async online(): Promise<this> {
    this.connection.start();
    await this.until(() => this.report?.connection === 'online');
    return this;
  }

  /** Looks at each report, each change of the document and of the presence. */
  until<T>(look: () => T | null | undefined | false): Promise<T> {
    return this.#events.until(look, () => `what ${JSON.stringify(this.report)} waits for`);
  }

  close(): void {
    this.connection.stop();
    this.presence.disconnected();
  }
}
