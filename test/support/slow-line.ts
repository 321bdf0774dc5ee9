import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

const BEAT = 20;

/** A line to a server that brings at most so many bytes a second to its clients; what they send passes at once. */
export class SlowLine {
  readonly #rate: number;
  readonly #to: number;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((client) => this.#join(client));

  private constructor(to: number, rate: number) {
    this.#to = to;
    this.#rate = rate;
  }

  static async open(to: { readonly port: number }, rate: number): Promise<SlowLine> {
    const line = new SlowLine(to.port, rate);
    line.#server.listen(0, '127.0.0.1');
    await once(line.#server, 'listening');
    return line;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(client: Socket): void {
    const server = connect(this.#to, '127.0.0.1');
    const began = performance.now();
    let passed = 0;
    const beat = setInterval(() => {
      const due = Math.floor(((performance.now() - began) / 1_000) * this.#rate) - passed;
      if (due <= 0) return;
      const chunk = server.read(Math.min(due, server.readableLength)) as Buffer | null;
      if (chunk === null) return;
      passed += chunk.length;
      client.write(chunk);
    }, BEAT);
    server.on('readable', () => {}); // read in the time of the line
    client.pipe(server);
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        clearInterval(beat);
        for (const each of [client, server]) {
          each.destroy();
          this.#sockets.delete(each);
        }
      });
    }
  }
}
