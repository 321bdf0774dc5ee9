/** Why a change was refused. */
export interface Refusal {
  /** That of the server's table of errors, such as `DOCUMENT_FULL`; `ERASED` for what was pending then. */
  readonly code: string;
  readonly reason: string;
}
