/** What a request does with a document. */
import type { UserDocument } from './user-document.js';

/**
 * Waits for the user's turn, until the document is in order and its history is in memory since `from`, then runs
 * `action` in one go.
 */
export function inOrder<T>(
  document: UserDocument,
  action: () => T,
  from = Number.POSITIVE_INFINITY,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const run = () => {
      try {
        resolve(action());
      } catch (error) {
        reject(error);
      }
    };
    document.turns.enter(() => document.withHistory(from, run));
  });
}
