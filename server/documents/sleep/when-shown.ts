/** What connections that speak JSON wait for before they are answered: asleep it is read, else the document has it. */
import { SyncError } from '../../errors.js';
import type { Origin } from '../changes.js';
import type { RecordTexts } from '../records/record-texts.js';
import { RecordsView } from '../records/records-view.js';
import type { UserDocument } from '../user-document.js';
import type { FollowedDocument } from './followed-document.js';

/** What becomes of it where the store does not answer. */
type Failed = (error: SyncError) => void;

/** Runs `task` when what is known of this device is there. One that was never met is met in the document. */
export function whenKnown(
  followed: FollowedDocument,
  origin: Origin,
  task: () => void,
  failed: Failed,
): void {
  const isKnown = () => followed.isAwake || followed.devices.has(origin);
  followed.whenReady(() => {
    if (followed.failure !== null) failed(followed.failure);
    else if (isKnown()) task();
    else
      followed.readFirst(followed.devicesAtRest().read(origin, followed.revision), () => {
        if (isKnown() && followed.failure === null) task();
        else whenAwake(followed, task, failed);
      });
  });
}

/**
 * Runs `task` with all records as they are: as they were noted, or of the document, which notes them for the next time.
 *
 * @param isWanted whether somebody still waits for them
 */
export function whenShown(
  followed: FollowedDocument,
  task: (records: RecordsView) => void,
  failed: Failed,
  isWanted = () => true,
): void {
  const ofDocument = () =>
    whenAwake(
      followed,
      (document) => {
        document.rest.noteReader();
        const texts = document.writeRecords(isWanted);
        if (texts === null) task(RecordsView.of(document.collections()));
        else followed.readFirst(texts, (made) => ofWritten(followed, made, task, failed));
      },
      failed,
    );
  followed.whenReady(() => {
    const { noted } = followed;
    if (!noted?.hasView || followed.failure !== null) ofDocument();
    else
      followed.readFirst(followed.readView(noted.revision), (view) => {
        if (view !== null && followed.noted === noted && followed.failure === null) task(view);
        else ofDocument();
      });
  });
}

/** @param texts `null` where nobody wants them any more, or the server stops */
function ofWritten(
  followed: FollowedDocument,
  texts: RecordTexts | null,
  task: (records: RecordsView) => void,
  failed: Failed,
): void {
  const document = followed.orFailure;
  if (document instanceof Error) failed(document);
  else if (texts === null) failed(new SyncError('RESTARTING'));
  else task(RecordsView.of(document.collections(), texts));
}

/** Runs `task` with the document in memory: at once, or when it was woken. */
export function whenAwake(
  followed: FollowedDocument,
  task: (document: UserDocument) => void,
  failed: Failed,
): void {
  followed.whenReady(() => {
    followed.needs();
    followed.whenReady(() => {
      const document = followed.orFailure;
      if (document instanceof Error) failed(document);
      else task(document);
    });
  });
}
