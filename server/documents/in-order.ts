/** What a request does with a document. */
import type { UserDocument } from './user-document.js';

/**
 * Waits for the user's turn, until the document is in order and its history is in memory since `from`, then runs
 * `action` in one go.
 *
 * @param from where it is a function, it is asked when the document is in order
 */
export function inOrder<T>(
  document: UserDocument,
  action: () => T,
  from: number | (() => number) = Number.POSITIVE_INFINITY,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const guard = (work: () => void) => {
      try {
        work();
      } catch (error) {
        reject(error);
      }
    };
    const run = () => guard(() => resolve(action()));
    document.turns.enter(() => {
      if (typeof from === 'number') document.withHistory(from, run);
      else document.whenReady(() => guard(() => document.withHistory(from(), run)));
    });
  });
}
