/**
 * The least that a durable server of Yjs documents does: scans each update, applies it, keeps it with an entry of a
 * history and a row of its user in one batch with an fsync for all that came in meanwhile, and shows it after that.
 * No checks against the document, no limits, no rights, no unions, no compaction. Of a
 * whole record, it writes the fields that differ. No pings, no versions.
 */
import { ClassicLevel } from 'classic-level';
import * as decoding from 'lib0/decoding';
import { type WebSocket, WebSocketServer } from 'ws';
import * as Y from 'yjs';
import { scanUpdate } from '../../server/protocol/scan.js';
import { StructTable } from '../../server/protocol/struct-table.js';
import { CHECKPOINT, SYNC, SYNC_STEP_1, SYNC_STEP_2, syncFrame, UPDATE } from '../support/frames.js';
import { Records } from './floor-json.js';

/** As long as the durable server gathers at most. */
const INTERVAL = 8;
const ENTRY = Buffer.from(
  '{"c":"appointments","r":"appointment-0","d":"device-0","b":{"notes":["as it was before"]}}',
);
const LIMITS = { maxDepth: 64, maxStructs: 200_000 };
const NOTES = { table: new StructTable(), deletion: () => {} };

interface Job {
  readonly room: Room;
  readonly author: WebSocket;
  /** `null` for a question whether all before it is durable: the message goes back to who asked. */
  readonly update: Uint8Array | null;
  readonly message: Uint8Array | string;
}

class Room {
  readonly doc = new Y.Doc();
  readonly records = new Records(this.doc);
  readonly members = new Set<WebSocket>();
  readonly rowKey: Buffer;
  clock = 0;
  readonly #updates: Buffer;
  readonly #entries: Buffer;

  constructor(name: string, stored: readonly Uint8Array[]) {
    [this.#updates, this.#entries] = [Buffer.from(`update!${name}!`), Buffer.from(`entry!${name}!`)];
    this.rowKey = Buffer.from(`row!${name}`);
    for (const update of stored) Y.applyUpdate(this.doc, update);
    this.clock = stored.length;
  }

  nextKeys(): [update: Buffer, entry: Buffer] {
    this.clock++;
    return [numbered(this.#updates, this.clock), numbered(this.#entries, this.clock)];
  }

  row(): Buffer {
    const row = Buffer.allocUnsafe(8);
    row.writeDoubleBE(this.clock);
    return row;
  }
}

function numbered(prefix: Buffer, n: number): Buffer {
  const key = Buffer.allocUnsafe(prefix.length + 6);
  key.set(prefix);
  key.writeUIntBE(n, prefix.length, 6);
  return key;
}

const db = new ClassicLevel<Uint8Array, Uint8Array>(process.env.DATA_DIR ?? 'floor', {
  keyEncoding: 'view',
  valueEncoding: 'view',
});
await db.open();

const rooms = new Map<string, Promise<Room>>();
let jobs: Job[] = [];
let running = false;

async function load(name: string): Promise<Room> {
  const prefix = `update!${name}!`;
  const range = { gt: Buffer.from(prefix), lt: Buffer.from(`update!${name}"`) };
  return new Room(name, await db.values(range).all());
}

function roomOf(name: string): Promise<Room> {
  const room = rooms.get(name) ?? load(name);
  rooms.set(name, room);
  return room;
}

function keep(job: Job): void {
  jobs.push(job);
  if (!running) void writeAll();
}

/** What comes in while a batch is written gathers for the next. */
async function writeAll(): Promise<void> {
  running = true;
  await null;
  while (jobs.length > 0) {
    const began = performance.now();
    const written = jobs;
    jobs = [];
    const batch = db.batch();
    for (const { room, update } of written) {
      if (update === null) continue;
      const [updateKey, entryKey] = room.nextKeys();
      batch.put(updateKey, update).put(entryKey, ENTRY);
    }
    for (const room of new Set(written.map(({ room }) => room))) batch.put(room.rowKey, room.row());
    await batch.write({ sync: true });
    for (const job of written) show(job);
    const rest = INTERVAL - (performance.now() - began);
    if (rest > 1) await new Promise((resolve) => setTimeout(resolve, rest));
  }
  running = false;
}

function show({ room, author, update, message }: Job): void {
  if (update === null) author.send(message);
  else for (const member of room.members) if (member !== author) member.send(message);
}

function receive(room: Room, ws: WebSocket, message: Buffer): void {
  if (message[0] === CHECKPOINT[0]) keep({ room, author: ws, update: null, message });
  if (message[0] !== SYNC) return;
  const decoder = decoding.createDecoder(
    new Uint8Array(message.buffer, message.byteOffset + 2, message.length - 2),
  );
  const body = decoding.readVarUint8Array(decoder);
  if (message[1] === SYNC_STEP_1) {
    ws.send(syncFrame(SYNC_STEP_2, Y.encodeStateAsUpdate(room.doc, body)));
  } else if (message[1] === UPDATE) {
    scanUpdate(body, LIMITS, NOTES);
    Y.applyUpdate(room.doc, body);
    keep({ room, author: ws, update: Buffer.from(body), message });
  }
}

new WebSocketServer({
  host: process.env.HOST ?? '127.0.0.1',
  port: Number(process.env.PORT),
  perMessageDeflate: false,
}).on('connection', async (ws, { url = '' }) => {
  const { pathname, searchParams } = new URL(url, 'http://server');
  ws.pause();
  const room = await roomOf(searchParams.get('userId') ?? pathname.split('/').at(-1) ?? '');
  ws.resume();
  room.members.add(ws);
  ws.on('message', (data: Buffer, isBinary) => {
    if (isBinary) return receive(room, ws, data);
    const written = room.records.write(data);
    if (written !== null) keep({ room, author: ws, ...written });
  });
  ws.on('close', () => room.members.delete(ws));
  if (searchParams.has('userId')) ws.send(JSON.stringify({ type: 'CONNECTION_CONFIRMED' }));
});

process.on('SIGTERM', () => void db.close().then(() => process.exit()));
