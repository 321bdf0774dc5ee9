/** The audit trail: who came to the document of another user. */
import { createReadStream } from 'node:fs';
import { type AuditEntry, auditLine, CHAIN_START, type ChainHead, follow, headIn } from './audit-line.js';
import { Batches, DurableLines } from './durable-lines.js';

/** Longer than any line. */
const TAIL = 65_536;
const LINE_END = 0x0a;

export class Audit {
  readonly #lines: DurableLines;
  readonly #now: () => number;
  readonly #batches: Batches<AuditEntry>;
  #head: ChainHead;

  private constructor(lines: DurableLines, head: ChainHead, now: () => number, patience?: number) {
    this.#lines = lines;
    this.#head = head;
    this.#now = now;
    this.#batches = new Batches((entries) => this.#write(entries), patience);
  }

  /**
   * Goes on where the file ends; a line that a crash left unfinished is cut off, and that is noted.
   *
   * @param patience how long an entry may wait for the disk, in ms
   */
  static async open(path: string, now: () => number, patience?: number): Promise<Audit> {
    const lines = await DurableLines.open(path);
    const { head, unfinished } = await lastOf(lines, path);
    const audit = new Audit(lines, head, now, patience);
    if (unfinished > 0) await audit.#recover(unfinished);
    return audit;
  }

  get head(): ChainHead {
    return this.#head;
  }

  /** For how long the disk has not answered, in ms. */
  get waitsFor(): number {
    return this.#batches.waitsFor;
  }

  /** Resolves once the entry is on disk: before that, the access is not to be granted. */
  record(entry: AuditEntry): Promise<void> {
    return this.#batches.add(entry);
  }

  /** Notes in the trail that lines are missing which the database knows of; before anything is recorded. */
  async noteSetBack(lines: number): Promise<void> {
    const { line, head } = auditLine(this.#head, { action: 'set back', lines }, this.#now());
    await this.#lines.append(`${line}\n`);
    this.#head = head;
  }

  async close(): Promise<void> {
    await this.#batches.idle();
    await this.#lines.close();
  }

  async #write(entries: readonly AuditEntry[]): Promise<void> {
    let head = this.#head;
    let text = '';
    for (const entry of entries) {
      const added = auditLine(head, entry, this.#now());
      head = added.head;
      text += `${added.line}\n`;
    }
    await this.#lines.append(text);
    this.#head = head;
  }

  async #recover(bytes: number): Promise<void> {
    const { line, head } = auditLine(this.#head, { action: 'recovered', bytes }, this.#now());
    await this.#lines.cut(this.#lines.size - bytes);
    await this.#lines.append(`${line}\n`);
    this.#head = head;
  }
}

async function lastOf(
  lines: DurableLines,
  path: string,
): Promise<{ readonly head: ChainHead; readonly unfinished: number }> {
  const tail = await lines.read(Math.max(0, lines.size - TAIL));
  const end = tail.lastIndexOf(LINE_END);
  const unfinished = tail.length - end - 1;
  if (end < 0 && lines.size <= TAIL) return { head: CHAIN_START, unfinished };
  const start = tail.lastIndexOf(LINE_END, end - 1) + 1;
  const head = end < 0 ? null : headIn(tail.toString('utf8', start, end));
  if (head !== null) return { head, unfinished };
  await lines.close();
  throw new Error(
    `The audit trail ${path} is damaged at its end: look at it with \`telemed-sync audit verify\`, and move it away to begin a new one`,
  );
}

/** What a look at a trail found. */
export interface AuditReport {
  /** Where the chain stands after the last line that is in order. */
  readonly head: ChainHead;
  /** The first line that is not what was written there, counted from 1; `null` if all are. */
  readonly brokenLine: number | null;
  /** Bytes after the last line end: of a line that was being written when the server crashed. */
  readonly unfinished: number;
}

/** Follows the chain from its start to the first line that is not the one that was written. */
export async function verifyAudit(path: string): Promise<AuditReport> {
  let head = CHAIN_START;
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(path)) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    for (let end = rest.indexOf(LINE_END); end >= 0; end = rest.indexOf(LINE_END)) {
      const next = follow(head, rest.toString('utf8', 0, end));
      if (next === null) return { head, brokenLine: head.number + 1, unfinished: 0 };
      head = next;
      rest = rest.subarray(end + 1);
    }
  }
  return { head, brokenLine: null, unfinished: rest.length };
}
