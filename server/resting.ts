/** Long work that others must not wait for. */

/** How long is worked before others have their turn, in ms. */
const SLICE = 5;

/** To be called between two steps, as often as may be: lets others have their turns, where it is time for that. */
export function resting(): () => Promise<void> {
  let turn = performance.now();
  return async () => {
    if (performance.now() - turn < SLICE) return;
    await new Promise(setImmediate);
    turn = performance.now();
  };
}
