/**
 * One transaction of Yjs that goes on over several turns of the event loop: what is collected, joined and tidied is
 * decided once, when everything is there. In between nothing else may enter the document.
 */
import * as Y from 'yjs';

/** What a transaction has gathered by its end. */
const PARTS = [
  ...(['beforeState', 'deleteSet', 'changed', 'changedParentTypes'] as const),
  ...(['_mergeStructs', '_needFormattingCleanup'] as const),
];

export class OpenTransaction {
  readonly #transaction: Y.Transaction;
  readonly #isLocal: boolean;

  /** @param isLocal whether this document writes, and does not apply what another one wrote */
  constructor(doc: Y.Doc, isLocal: boolean) {
    this.#transaction = new Y.Transaction(doc, null, isLocal);
    this.#isLocal = isLocal;
  }

  /** To Yjs, `work` is done while the transaction goes on. */
  within<Result>(work: () => Result): Result {
    const { doc } = this.#transaction;
    doc._transaction = this.#transaction;
    try {
      return work();
    } finally {
      doc._transaction = null;
    }
  }

  end(): void {
    const whole = this.#transaction;
    const parts = Object.fromEntries(PARTS.map((part) => [part, whole[part]]));
    Y.transact(whole.doc, (transaction) => void Object.assign(transaction, parts), null, this.#isLocal);
  }
}
