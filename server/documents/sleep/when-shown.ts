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
  const isKnown = () => followed.devices.has(origin);
  const meet = () => {
    const met = ({ rest }: UserDocument) => {
      rest.noteDemand();
      task();
    };
    whenAwake(followed, met, failed);
  };
  followed.whenReady(() => {
    if (followed.failure !== null) failed(followed.failure);
    else if (isKnown()) task();
    else if (followed.isAwake) meet();
    else
      followed.readFirst(followed.devicesAtRest().read(origin, followed.revision), () => {
        if (isKnown() && followed.failure === null) task();
        else meet();
      });
  });
}

/**
 * Runs `task` with all records as they are: as they were noted, or of the document, which notes them for the next time.
 * While the JSON of a large one is made, whatever else concerns its user goes on.
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
        const { doc } = document;
        // What was changed meanwhile is written anew here. It may sleep by now, or be another document.
        const written = (texts: RecordTexts) => {
          if (followed.orFailure === document && document.doc === doc)
            task(RecordsView.of(document.collections(), texts));
          else whenShown(followed, task, failed, isWanted);
        };
        const texts = document.writeRecords(isWanted);
        if (texts === null) task(RecordsView.of(document.collections()));
        else answerWith(followed, texts, written, failed);
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

/** Where nobody wants it any more, or the server stops, it has failed. */
function answerWith<Answer>(
  followed: FollowedDocument,
  made: Promise<Answer>,
  task: (answer: Answer) => void,
  failed: Failed,
): void {
  made.then(
    (answer) => followed.answer(() => task(answer)),
    (error: unknown) =>
      followed.answer(() => failed(error instanceof SyncError ? error : new SyncError('INTERNAL'))),
  );
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
