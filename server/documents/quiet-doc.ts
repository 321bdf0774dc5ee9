import * as Y from 'yjs';

/** Only sub-documents are known by a name, and there are none; drawing one costs more than most edits. */
const UNNAMED = { guid: '' };

/** What Yjs tells of a transaction, besides what a replica listens to. */
const OF_TRANSACTIONS = [
  ...(['update', 'updateV2', 'afterTransactionCleanup', 'afterAllTransactions'] as const),
  ...(['beforeAllTransactions', 'beforeTransaction', 'beforeObserverCalls'] as const),
];

/** The document of a replica. Yjs tells of six events for each transaction, whoever listens; this one does not. */
export class QuietDoc extends Y.Doc {
  constructor() {
    super(UNNAMED);
  }

  override emit(name: Parameters<Y.Doc['emit']>[0], args: Parameters<Y.Doc['emit']>[1]): void {
    if (this._observers.has(name)) super.emit(name, args);
  }

  /** Nobody but its replica hears of its transactions. Of its types nobody may listen to one: they are not asked. */
  get isUnfollowed(): boolean {
    if (this._observers.get('afterTransaction')?.size !== 1) return false;
    return OF_TRANSACTIONS.every((name) => !this._observers.has(name));
  }
}
