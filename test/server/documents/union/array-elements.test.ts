/** Elements of arrays, found by the Yjs ids that they came with. */
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { indexOf, removeElement } from '../../../../server/documents/union/array-elements.js';
import { elementsOf } from '../../../../server/documents/union/lost-types.js';

/** Plain values that stand in one item, some of them deleted since, and maps between them. */
function mixed(): Y.Array<unknown> {
  const array = new Y.Doc().getMap<Y.Array<unknown>>('notes').set('list', new Y.Array());
  array.push(['a', 'b', 'c', 'd', 'e']);
  array.insert(2, [new Y.Map(), new Y.Map()]);
  array.delete(1, 2);
  array.insert(0, ['f', { id: 'g' }]);
  return array;
}

test('[D3] each element is found where it stands, inside a run of plain values and behind what was deleted', () => {
  const array = mixed();
  const elements = elementsOf(array);
  expect(elements.map(({ client, clock }) => indexOf(array, client, clock))).toEqual([0, 1, 2, 3, 4, 5, 6]);
});

test('[D3] one that was deleted, or never was there, stands nowhere, and removing it removes nothing', () => {
  const array = mixed();
  const [first] = elementsOf(array);
  if (first === undefined) throw new Error('There are elements.');
  removeElement(array, first.client, first.clock);
  const left = array.toJSON();
  expect(left).toEqual([{ id: 'g' }, 'a', {}, 'c', 'd', 'e']);
  expect([indexOf(array, first.client, first.clock), indexOf(array, 1, 0)]).toEqual([-1, -1]);
  removeElement(array, first.client, first.clock);
  expect(array.toJSON()).toEqual(left);
});
