import type { UserId } from '../../../shared/names.js';
import type { Turns } from './turns.js';

/** The turns of one user; without any, everything is done at once. */
export class UserTurns {
  readonly #user: UserId;
  readonly #turns: Turns | undefined;

  constructor(user: UserId, turns: Turns | undefined) {
    this.#user = user;
    this.#turns = turns;
  }

  /** Runs what tells connections of something, before what has come in is done. */
  first(task: () => void): void {
    if (this.#turns === undefined) task();
    else this.#turns.first(this.#user, task);
  }

  /** Runs the task of a request, behind what came before it. */
  enter(task: () => void): void {
    this.#enter(task, 1);
  }

  /** Runs a task of the server behind what has come in; it counts towards no rate. */
  behind(task: () => void): void {
    this.#enter(task, 0);
  }

  #enter(task: () => void, messages: number): void {
    const run = (settled: () => void) => {
      settled();
      task();
    };
    if (this.#turns === undefined) task();
    else this.#turns.enter(this.#user, { messages, bytes: 0, sender: null, run });
  }

  /** Long work for the user, a step at a time: others have their turns between two. */
  inSteps<Result>(steps: Generator<void, Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          let { done, value } = steps.next();
          while (done !== true && this.#turns === undefined) ({ done, value } = steps.next());
          if (done === true) resolve(value as Result);
          else this.first(step);
        } catch (error) {
          reject(error);
        }
      };
      this.first(step);
    });
  }

  /** What comes in waits from here on. */
  block(): void {
    this.#turns?.block(this.#user);
  }

  unblock(): void {
    this.#turns?.unblock(this.#user);
  }
}
