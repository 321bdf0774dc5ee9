import { read } from './http-writers.js';
import type { Stop } from './load.js';

const SIZE = 500_000;
const USER = 'bulk';
const RECORD = 'large';

/** A user whose record is so large that LevelDB goes on to new log and table files within a round. */
export class Bulk {
  confirmed = 0;
  readonly #url: string;
  #number = 0;
  #etag = '';

  constructor(url: string) {
    this.#url = `${url}/api/sync/${USER}`;
  }

  /** Writes one after the other, until the server goes away or all is stopped. */
  start(): Stop {
    let over = false;
    const running = (async () => {
      while (!over && (await this.#write(++this.#number)));
    })();
    return () => {
      over = true;
      return running;
    };
  }

  /** Whether it was confirmed. */
  async #write(number: number): Promise<boolean> {
    const document = { id: RECORD, number, text: `${number} `.padEnd(SIZE, 'x') };
    const change = {
      type: 'DATA_UPDATE',
      data: { collection: 'medicalRecords', document, timestamp: Date.now() },
    };
    const changes = [{ ...change, userId: USER, deviceId: 'scanner' }];
    const headers = {
      'Device-ID': 'scanner',
      'Content-Type': 'application/json',
      'If-None-Match': this.#etag,
    };
    const body = JSON.stringify({ changes });
    const response = await fetch(this.#url, { method: 'POST', headers, body }).catch(() => null);
    if (response?.status !== 200) return false;
    this.confirmed = number;
    this.#etag = response.headers.get('ETag') ?? '';
    await response.arrayBuffer().catch(() => null);
    return true;
  }

  async problems(): Promise<string[]> {
    const response = await read(this.#url);
    const { medicalRecords = [] } = (await response.json()) as Record<string, { number?: number }[]>;
    const number = medicalRecords[0]?.number ?? 0;
    return number >= this.confirmed ? [] : [`the large record is ${number}, was ${this.confirmed}`];
  }
}
