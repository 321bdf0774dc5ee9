/**
 * Real servers with a LevelDB each, who lead clients to each other. The one stand-in is who serves a user: that says
 * the test, since they share no store that could.
 */
import { EventEmitter, once } from 'node:events';
import { rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { OwningStore } from '../../server/cluster/store-placement.js';
import { type CollectedEvent, collectingLog } from '../../server/log.js';
import { LevelStore } from '../../server/store/level/level-store.js';
import type { Store } from '../../server/store/store.js';
import type { UserId } from '../../shared/names.js';
import { temporaryFolder } from './level-fixture.js';
import type { TestServer } from './server.js';
import { useServer } from './use.js';

export const CLUSTER_SECRET = 'the secret that all nodes of the tests share';

/** Who serves whom, as one node is told. */
export class TestOwners {
  readonly name: string;
  /** This node's `CLUSTER_ADDRESS`, where the others are told that it is. */
  address = '127.0.0.1:1'; // where nobody listens
  asked = 0;
  /** Nodes that this one would have relieved of a user. */
  readonly relieved: string[] = [];
  readonly #ownerOf: (user: UserId, asked: number) => TestOwners;

  /** @param ownerOf who serves the user, when it is asked for the how manieth time */
  constructor(name: string, ownerOf: (user: UserId, asked: number) => TestOwners) {
    this.name = name;
    this.#ownerOf = ownerOf;
  }

  /** Of a store that several servers share. */
  readonly owner: OwningStore['owner'] = async (user, relieved) => {
    if (relieved !== undefined) this.relieved.push(relieved);
    else this.asked++;
    const owner = this.#ownerOf(user, this.asked);
    return owner === this ? null : { node: owner.name, address: owner.address };
  };
}

export interface TestNode extends TestServer {
  readonly owners: TestOwners;
  /** What it logged. */
  readonly events: readonly CollectedEvent[];
}

/**
 * A node; who serves whom is up to `owners`.
 *
 * @param tells what its store tells of the nodes
 */
export async function useNode(
  owners: TestOwners,
  options: Readonly<Record<string, string>> = {},
  tells: Pick<Store, 'beat' | 'nodes'> = {},
): Promise<TestNode> {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const store = await LevelStore.open({ folder });
  const { log, events } = collectingLog();
  const cluster = { CLUSTER_ADDRESS: '127.0.0.1:0', CLUSTER_SECRET };
  const parts = { store: Object.assign(store, { owner: owners.owner, ...tells }), log };
  const server = await useServer({ ...cluster, ...options }, parts);
  const listening = events.find(({ name }) => name === 'clusterListening');
  owners.address = String(listening?.fields.address);
  return { ...server, owners, events };
}

/** The front, where clients come, and the owner of all users. */
export async function useFrontAndOwner(
  options: Readonly<Record<string, string>> = {},
): Promise<{ front: TestNode; owner: TestNode }> {
  const owner: TestOwners = new TestOwners('owner', () => owner);
  const front = new TestOwners('front', () => owner);
  return { owner: await useNode(owner, options), front: await useNode(front, options) };
}

/** A node that says what the test has it say, whatever it is asked. */
export async function useStandIn(serve: (socket: Socket) => void): Promise<TestOwners> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const owners: TestOwners = new TestOwners('stand-in', () => owners);
  owners.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return owners;
}

/** A node whose process is stopped: connections are taken, and nobody answers. */
export async function useHangingNode(): Promise<{
  readonly owners: TestOwners;
  readonly connected: Promise<unknown>;
}> {
  const arrivals = new EventEmitter();
  const connected = once(arrivals, 'connection');
  const owners = await useStandIn((socket) => void arrivals.emit('connection', socket.resume()));
  return { owners, connected };
}
