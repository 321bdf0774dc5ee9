import * as Y from 'yjs';

/** Only sub-documents are known by a name, and there are none; drawing one costs more than most edits. */
const UNNAMED = { guid: '' };

/** The document of a replica. Yjs tells of six events for each transaction, whoever listens; this one does not. */
export class QuietDoc extends Y.Doc {
  constructor() {
    super(UNNAMED);
  }

  override emit(name: Parameters<Y.Doc['emit']>[0], args: Parameters<Y.Doc['emit']>[1]): void {
    if (this._observers.has(name)) super.emit(name, args);
  }

  /** Nobody but its replica hears of its transactions. */
  get isUnfollowed(): boolean {
    return this._observers.get('afterTransaction')?.size === 1 && !this._observers.has('update');
  }
}
