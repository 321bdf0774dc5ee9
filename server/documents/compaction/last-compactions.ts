/** Before a server stops: what was edited up to then, the next one would have to load edit by edit. */
import type { DocumentCompaction } from './document-compaction.js';

export interface LastCompactions {
  /** Milliseconds from any moment on, that never jump. */
  readonly uptime: () => number;
  /** When the time for it is over, by that. */
  readonly end: number;
  /** Whether the store takes anything: one that does not would fail documents that lost nothing. */
  readonly takesWork: () => boolean;
}

/** As many as there is time for, those first of which a load takes the longest; others have their turns in between. */
export async function compactLast(
  documents: readonly { readonly compaction: DocumentCompaction }[],
  { uptime, end, takesWork }: LastCompactions,
): Promise<void> {
  const behind = documents.map(({ compaction }) => compaction).filter(({ updates }) => updates > 1);
  for (const compaction of behind.sort((a, b) => b.updates - a.updates)) {
    if (uptime() >= end || !takesWork()) return;
    compaction.runForRest();
    await (compaction.isUnderWay ? compaction.ended : new Promise(setImmediate));
  }
}
