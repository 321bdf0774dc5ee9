/**
 * Real servers with a LevelDB each, who lead clients to each other. The one stand-in is the placement: which of them
 * serves a user says the test, since they share no store that could.
 */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Doubt, NodeId, Place, Placement } from '../../server/cluster/placement.js';
import { type CollectedEvent, collectingLog } from '../../server/log.js';
import { LevelStore } from '../../server/store/level/level-store.js';
import type { UserId } from '../../shared/names.js';
import { temporaryFolder } from './level-fixture.js';
import type { TestServer } from './server.js';
import { useServer } from './use.js';

export const CLUSTER_SECRET = 'the secret that all nodes of the tests share';

/** What one node is told of the others. */
export class TestPlacement implements Placement {
  readonly name: NodeId;
  /** This node's `CLUSTER_ADDRESS`. */
  address = '';
  readonly doubts: Doubt[] = [];
  reachedNodes = 0;
  asked = 0;
  readonly #ownerOf: (user: UserId, asked: number) => TestPlacement;

  /** @param ownerOf who serves the user, when it is asked for the how manieth time */
  constructor(name: string, ownerOf: (user: UserId, asked: number) => TestPlacement) {
    this.name = name as NodeId;
    this.#ownerOf = ownerOf;
  }

  async whereIs(user: UserId): Promise<Place> {
    const owner = this.#ownerOf(user, ++this.asked);
    if (owner === this) return { here: true };
    return { here: false, node: owner.name, address: owner.address };
  }

  doubt(_user: UserId, _node: NodeId, why: Doubt): void {
    this.doubts.push(why);
  }

  reached(): void {
    this.reachedNodes++;
  }

  async join(address: string): Promise<void> {
    this.address = address;
  }

  async leave(): Promise<void> {
    this.address = '127.0.0.1:1'; // where nobody listens
  }
}

export interface TestNode extends TestServer {
  readonly placement: TestPlacement;
  /** What it logged. */
  readonly events: readonly CollectedEvent[];
}

/** A node; who serves whom is up to `placement`. */
export async function useNode(
  placement: TestPlacement,
  options: Readonly<Record<string, string>> = {},
): Promise<TestNode> {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const store = await LevelStore.open({ folder });
  const { log, events } = collectingLog();
  const cluster = { CLUSTER_ADDRESS: '127.0.0.1:0', CLUSTER_SECRET };
  const parts = { store: Object.assign(store, { placement }), log };
  const server = await useServer({ ...cluster, ...options }, parts);
  return { ...server, placement, events };
}

/** The front, where clients come, and the owner of all users. */
export async function useFrontAndOwner(
  options: Readonly<Record<string, string>> = {},
): Promise<{ front: TestNode; owner: TestNode }> {
  const owner: TestPlacement = new TestPlacement('owner', () => owner);
  const front = new TestPlacement('front', () => owner);
  return { owner: await useNode(owner, options), front: await useNode(front, options) };
}

/** A node whose process is stopped: connections are taken, and nobody answers. */
export async function useHangingNode(): Promise<{
  readonly placement: TestPlacement;
  readonly connected: Promise<unknown>;
  readonly left: Promise<unknown>;
}> {
  const server = createServer();
  const connected = once(server, 'connection');
  const left = connected.then(([socket]) => {
    socket.resume().on('error', () => {});
    return once(socket, 'close');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const placement: TestPlacement = new TestPlacement('hanging', () => placement);
  placement.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { placement, connected, left };
}
