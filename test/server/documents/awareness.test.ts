import { describe, expect, test } from 'vitest';
import { AwarenessStates, type Owner } from '../../../server/documents/awareness.js';
import { type AwarenessEntry, MAX_AWARENESS_STATE } from '../../../server/protocol/yjs.js';
import type { DeviceId } from '../../../shared/names.js';

const entry = (id: number, clock: number, state = '{}'): AwarenessEntry => ({ id, clock, state });
const gone = (id: number, clock: number): AwarenessEntry => entry(id, clock, 'null');

const connection = (device: string): Owner => ({ actor: null, device: device as DeviceId });

describe('[N6] awareness of one document', () => {
  test('what a connection says of itself is passed on, newer clocks only', () => {
    const room = new AwarenessStates();
    const anna = connection('anna');
    expect(room.update(anna, [entry(1, 0)])).toEqual([entry(1, 0)]);
    expect(room.update(anna, [entry(1, 0, '{"a":1}')])).toEqual([]);
    expect(room.update(anna, [entry(1, 2, '{"a":2}')])).toEqual([entry(1, 2, '{"a":2}')]);
    expect(room.update(anna, [entry(1, 1)])).toEqual([]);
    expect(room.entries()).toEqual([entry(1, 2, '{"a":2}')]);
  });

  test('states of others that a connection re-sends are passed over, its own beside them are not', () => {
    const room = new AwarenessStates();
    const [anna, bert] = [connection('anna'), connection('bert')];
    room.update(anna, [entry(1, 5)]);
    expect(room.update(bert, [entry(1, 5), entry(2, 0)])).toEqual([entry(2, 0)]);
    expect(room.update(bert, [entry(1, 9, '{"forged":1}'), gone(1, 9), entry(2, 1)])).toEqual([entry(2, 1)]);
    expect(room.entries()).toEqual([entry(1, 5), entry(2, 1)]);
  });

  test('another device does not take an id over, also with nothing to say of itself', () => {
    const room = new AwarenessStates();
    const [anna, mallory] = [connection('anna'), connection('mallory')];
    room.update(anna, [entry(1, 5)]);
    expect(room.update(mallory, [entry(1, 9, '{"forged":1}')])).toEqual([]);
    expect(room.leave(mallory)).toEqual([]);
    expect(room.entries()).toEqual([entry(1, 5)]);
  });

  test('nobody removes the state of another, and nothing removes what never was', () => {
    const room = new AwarenessStates();
    const [anna, bert] = [connection('anna'), connection('bert')];
    room.update(anna, [entry(1, 5)]);
    room.update(bert, [entry(2, 0)]);
    expect(room.update(bert, [gone(1, 5)])).toEqual([]);
    expect(room.update(bert, [gone(7, 1)])).toEqual([]);
    expect(room.entries()).toHaveLength(2);
  });

  test('a goodbye with the same clock counts, as y-websocket sends it', () => {
    const room = new AwarenessStates();
    const anna = connection('anna');
    room.update(anna, [entry(1, 5)]);
    expect(room.update(anna, [gone(1, 5)])).toEqual([gone(1, 5)]);
    expect(room.entries()).toEqual([]);
    expect(room.leave(anna)).toEqual([]);
  });

  test('a connection that ends takes its states with it, and only these', () => {
    const room = new AwarenessStates();
    const [anna, bert] = [connection('anna'), connection('bert')];
    room.update(anna, [entry(1, 5), entry(3, 2)]);
    room.update(bert, [entry(2, 0)]);
    expect(room.leave(anna)).toEqual([gone(1, 5), gone(3, 2)]);
    expect(room.entries()).toEqual([entry(2, 0)]);
  });

  test('a newer connection of the same client takes its id over; the end of the old one leaves it', () => {
    const room = new AwarenessStates();
    const [old, fresh] = [connection('phone'), connection('phone')];
    room.update(old, [entry(1, 5)]);
    expect(room.update(fresh, [entry(1, 5, '{"again":1}')])).toEqual([entry(1, 5, '{"again":1}')]);
    expect(room.leave(old)).toEqual([]);
    expect(room.entries()).toEqual([entry(1, 5, '{"again":1}')]);
    expect(room.leave(fresh)).toEqual([gone(1, 5)]);
  });

  test('after the end of the old connection, the same client introduces itself again with the clock it had', () => {
    const room = new AwarenessStates();
    const [old, fresh] = [connection('phone'), connection('phone')];
    room.update(old, [entry(1, 5)]);
    room.leave(old);
    expect(room.update(fresh, [entry(1, 5)])).toEqual([entry(1, 5)]);
  });

  test('an echo does not bring back what was removed', () => {
    const room = new AwarenessStates();
    const [anna, bert] = [connection('anna'), connection('bert')];
    room.update(bert, [entry(2, 0)]);
    room.update(anna, [entry(1, 5)]);
    room.leave(anna);
    expect(room.update(bert, [entry(1, 5), entry(2, 1)])).toEqual([entry(2, 1)]);
    expect(room.update(bert, [entry(1, 5)])).toEqual([]);
    expect(room.update(bert, [entry(1, 4)])).toEqual([]);
    expect(room.entries()).toEqual([entry(2, 1)]);
  });

  test('a state has at most 4 KB, in bytes', () => {
    const room = new AwarenessStates();
    const anna = connection('anna');
    const sized = (bytes: number, character = 'x') =>
      JSON.stringify(character.repeat((bytes - 2) / Buffer.byteLength(character)));
    expect(MAX_AWARENESS_STATE).toBe(4096);
    expect(room.update(anna, [entry(1, 1, sized(4096))])).toHaveLength(1);
    expect(room.update(anna, [entry(1, 2, sized(4097))])).toEqual([]);
    expect(room.update(anna, [entry(1, 2, sized(4096, 'ä'))])).toHaveLength(1);
    expect(room.update(anna, [entry(1, 3, sized(4098, 'ä'))])).toEqual([]);
    expect(room.entries()).toEqual([entry(1, 2, sized(4096, 'ä'))]);
  });

  test('one connection introduces a few ids, not any number of them', () => {
    const room = new AwarenessStates();
    const many = Array.from({ length: 1_000 }, (_, id) => entry(id, 1));
    expect(room.update(connection('hostile'), many).length).toBeLessThanOrEqual(8);
    expect(room.entries().length).toBeLessThanOrEqual(8);
  });

  test('clients that come and go leave nothing behind', () => {
    const room = new AwarenessStates();
    for (let id = 0; id < 5_000; id++) {
      const visitor = connection(`${id}`);
      room.update(visitor, [entry(id, 1)]);
      room.leave(visitor);
    }
    expect(room.entries()).toEqual([]);
    const late = connection('late');
    room.update(late, [entry(9_999, 0)]);
    expect(room.update(late, [entry(4_999, 1)])).toEqual([]);
  });
});
