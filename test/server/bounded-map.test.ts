import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BoundedMap } from '../../server/bounded-map.js';
import { runs } from '../support/runs.js';

const [MOST, LARGEST] = [4, 10];

/** The same, as slow as it may be: the oldest first. */
class Model {
  entries: (readonly [number, number])[] = [];

  set(key: number, value: number): void {
    const at = this.entries.findIndex(([each]) => each === key);
    if (at < 0) this.entries.push([key, value]);
    else this.entries[at] = [key, value];
    while (!this.#fits() && this.entries[0]?.[0] !== key) this.entries.shift();
  }

  delete(key: number): void {
    this.entries = this.entries.filter(([each]) => each !== key);
  }

  #fits(): boolean {
    return this.entries.length <= MOST && this.entries.reduce((sum, [, size]) => sum + size, 0) <= LARGEST;
  }
}

const [key, size] = [fc.nat(7), fc.nat(12)];
const step = fc.oneof(
  fc.tuple(fc.constant('set' as const), key, size),
  fc.tuple(fc.constant('add' as const), key, size),
  fc.tuple(fc.constant('delete' as const), key, size),
  fc.tuple(fc.constant('clear' as const), key, size),
);

test('[S4] the oldest go where there are too many, or where they are too large together', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const map = new BoundedMap<number, number>({ most: MOST, maxSize: LARGEST, sizeOf: (value) => value });
      const model = new Model();
      for (const [what, key, value] of steps) {
        if (what === 'clear') {
          map.clear();
          model.entries = [];
        } else if (what === 'delete') {
          map.delete(key);
          model.delete(key);
        } else {
          if (what === 'add') model.delete(key);
          map[what](key, value);
          model.set(key, value);
        }
        expect([...map]).toEqual(model.entries);
        expect(map.taken).toBe(model.entries.reduce((sum, [, each]) => sum + each, 0));
      }
    }),
    { numRuns: runs(2_000) },
  );
});

describe('[S4] what is replaced is let go, though the map never was full', () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

  test.each(['set', 'add', 'renewed'] as const)('by %s', async (how) => {
    const map = new BoundedMap<number, object>({ most: 1_000 });
    const replaced: WeakRef<object>[] = [];
    const write = (key: number): void => {
      if (how === 'renewed' && map.renewed(key) !== undefined) return;
      if (how === 'renewed') map.delete(key - 50);
      const value = {};
      replaced.push(new WeakRef(value));
      if (how === 'set') {
        map.delete(key);
        map.set(key, value);
      } else map.add(key, value);
    };
    for (let n = 0; n < 2_000; n++) write(how === 'renewed' ? Math.floor(n / 4) : n % 20);
    await nextTurn();
    gc();
    const kept = replaced.filter((each) => each.deref() !== undefined).length;
    expect(replaced.length).toBeGreaterThan(400);
    expect(kept).toBeLessThan(150);
  });
});
