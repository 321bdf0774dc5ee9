/** JSON devices that are away for longer than history is kept: nothing that anybody wrote is lost (L8). */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { Digests } from '../server/documents/history/digests.js';
import { untoldRow } from '../server/documents/history/remembered.js';
import { writeRecord } from '../shared/records.js';
import { Away, BEGIN, N1, noteOf, RETURN } from './support/away.js';
import { DAY, levelShelf, memoryShelf, record, type Shelf, Ward } from './support/ward.js';

const SHELVES: [string, () => Shelf | Promise<Shelf>][] = [
  ['in memory', memoryShelf],
  ['in LevelDB', levelShelf],
];

/** A shared map with these fields, a new one each time. */
const writtenAs = (fields: object) => () => new Y.Map<unknown>(Object.entries(fields));
const dose = (id: string, amount: number) => ({ id, dose: amount });

describe.each(SHELVES)('[L8] [H7] %s, a device that was away for longer than', (_, shelf) => {
  describe.each([0, 1, 90])('HISTORY_DAYS=%i', (historyDays) => {
    const open = async (fields: object) => Away.with(await shelf(), historyDays, fields);

    test('keeps what it wrote where nobody else did', async () => {
      const away = await open({ a: 1, b: 1, c: 1, at: { city: 'here', zip: 1 } });
      await away.visit();
      const after = await away.back([2, { a: 2, c: 1, at: { city: 'there', zip: 1 }, more: 'new' }]);
      expect(after).toEqual({ id: 'n1', a: 2, b: 1, c: 1, at: { city: 'there', zip: 1 }, more: 'new' });
    });

    test('keeps it beside what others wrote, before and after its own', async () => {
      const away = await open({ a: 1, b: 1, c: 1, at: { city: 'here', zip: 1 }, tags: ['x'], text: 'ab' });
      await away.visit();
      away.day(1);
      away.set({
        b: 'of others',
        tags: ['x', 'y'],
        at: new Y.Map<unknown>([
          ['city', 'here'],
          ['zip', 2],
        ]),
      });
      away.day(3);
      away.set({ c: 'of others', text: 'a longer text that is edited in its middle' });
      away.set({ text: 'a longer text that is edited, in its middle' });
      const after = await away.back([
        2,
        { a: 2, b: 1, c: 1, at: { city: 'there', zip: 1 }, tags: ['x'], text: 'ab', more: 'new' },
      ]);
      expect(after).toEqual({
        id: 'n1',
        a: 2,
        b: 'of others',
        c: 'of others',
        at: { city: 'there', zip: 2 },
        tags: ['x', 'y'],
        text: 'a longer text that is edited, in its middle',
        more: 'new',
      });
    });

    test('undoes nothing inside an object that others changed in all its fields', async () => {
      const contact = { name: 'Ann', phone: '1' };
      const away = await open({ contact, deep: { contact, more: { of: 'this' } } });
      await away.visit();
      away.day(1);
      const others = writtenAs({ name: 'Bob', phone: '2' });
      away.set({ contact: others(), deep: new Y.Map<unknown>([['contact', others()]]) });
      const mine = { name: 'Anna', phone: '1' };
      const both = { name: 'Anna', phone: '2' };
      const after = await away.back([2, { contact: mine, deep: { contact: mine, more: { of: 'this' } } }]);
      expect(after).toEqual({ id: 'n1', contact: both, deep: { contact: both } });
    });

    test('undoes nothing in an object that was none for a while', async () => {
      const away = await open({ at: { city: 'here', zip: 1 } });
      await away.visit();
      away.day(1);
      away.set({ at: 'nowhere' });
      away.set({ at: writtenAs({ city: 'there', zip: 2 })() });
      const after = await away.back([2, { at: { city: 'mine', zip: 1, floor: 3 } }]);
      expect(after).toEqual({ id: 'n1', at: { city: 'mine', zip: 2, floor: 3 } });
    });

    test('undoes nothing inside elements of a list, nor in a text, and adds its own elements', async () => {
      const away = await open({ medications: [dose('m1', 5), dose('m2', 1)], text: 'ab', tags: ['x'] });
      await away.visit();
      away.day(1);
      away.set({ medications: [dose('m1', 10), dose('m2', 1)], tags: ['x', 'theirs'] });
      away.write((doc) => noteOf(doc).set('text', new Y.Text('ab of others')));
      const medications = [dose('m1', 5), dose('m2', 2), dose('m3', 3)];
      const after = await away.back([2, { medications, text: 'abc', tags: ['x', 'mine'] }]);
      expect(after).toMatchObject({
        medications: [dose('m1', 10), dose('m2', 2), dose('m3', 3)],
        text: 'ab of others',
        tags: expect.arrayContaining(['x', 'mine', 'theirs']),
      });
    });

    test('keeps what it changed in elements, beside what others did in them', async () => {
      const medications = [
        { ...dose('m1', 5), unit: 'mg' },
        { ...dose('m2', 1), unit: 'mg' },
        dose('m3', 3),
        dose('m4', 4),
      ];
      const away = await open({ medications });
      await away.visit();
      away.day(1);
      away.write((doc) => {
        const list = noteOf(doc).get('medications') as Y.Array<object>;
        list.delete(0, 4);
        list.push([
          dose('m0', 0),
          { ...dose('m1', 6), unit: 'mg' },
          { ...dose('m2', 1), unit: 'g', more: 1 },
          dose('m4', 40),
        ]);
      });
      const mine = [
        { ...dose('m1', 5), unit: 'ml' },
        { ...dose('m2', 2), unit: 'mg' },
        dose('m3', 3),
        dose('m4', 44),
        dose('m5', 5),
      ];
      expect(await away.back([2, { medications: mine }])).toEqual({
        id: 'n1',
        medications: [
          dose('m0', 0),
          { ...dose('m1', 6), unit: 'ml' },
          { ...dose('m2', 2), unit: 'g', more: 1 },
          dose('m4', 44),
          dose('m5', 5),
        ],
      });
    });

    test.each([
      [0.5, [dose('m1', 1)]],
      [2, [dose('m1', 1), dose('m2', 22)]],
    ])('[L6] what it changed on day %s in an element that others removed', async (day, medications) => {
      const away = await open({ medications: [dose('m1', 1), dose('m2', 2)] });
      await away.visit();
      away.day(1);
      away.write((doc) => (noteOf(doc).get('medications') as Y.Array<object>).delete(1));
      const after = await away.back([day, { medications: [dose('m1', 1), dose('m2', 22)] }]);
      expect(after).toEqual({ id: 'n1', medications });
    });

    test('leaves elements where others moved them, and changes them there', async () => {
      const away = await open({ medications: [dose('m1', 1), dose('m2', 2), dose('m3', 3)] });
      await away.visit();
      away.day(1);
      away.set({ medications: [dose('m3', 3), dose('m1', 1), dose('m2', 2)] });
      const after = await away.back([2, { medications: [dose('m1', 1), dose('m2', 22), dose('m3', 3)] }]);
      expect(after).toEqual({ id: 'n1', medications: [dose('m3', 3), dose('m1', 1), dose('m2', 22)] });
    });

    test('[L6] leaves an element where others put it back, though they removed another one since', async () => {
      const away = await open({ medications: ['m1', 'm2', 'm3', 'm4'].map((id) => dose(id, 1)) });
      await away.visit();
      away.day(1);
      const medications = (doc: Y.Doc) => noteOf(doc).get('medications') as Y.Array<object>;
      away.write((doc) => medications(doc).delete(1));
      away.write((doc) => medications(doc).push([dose('m2', 2)]));
      away.write((doc) => medications(doc).delete(1));
      const sent = ['m1', 'm2', 'm3', 'm4'].map((id) => dose(id, 1));
      const after = await away.back([null, { medications: sent, more: 1 }]);
      const left = [dose('m1', 1), dose('m4', 1), dose('m2', 2)];
      expect(after).toEqual({ id: 'n1', medications: left, more: 1 });
    });

    test.each([
      ['to the front', ['m4', 'm1', 'm2', 'm3'], ['m4', 'm1', 'm3']],
      ['to the front, and what is gone behind it', ['m4', 'm2', 'm1', 'm3'], ['m4', 'm1', 'm3']],
      ['to the end', ['m2', 'm3', 'm4', 'm1'], ['m3', 'm4', 'm1']],
      ['behind what is gone', ['m1', 'm2', 'm4', 'm3'], ['m1', 'm4', 'm3']],
    ])('[D3 L6] moves an element %s where others only removed another one', async (_, sent, left) => {
      const away = await open({ medications: ['m1', 'm2', 'm3', 'm4'].map((id) => dose(id, 1)) });
      await away.visit();
      away.day(1);
      away.write((doc) => (noteOf(doc).get('medications') as Y.Array<object>).delete(1));
      const after = await away.back([2, { medications: sent.map((id) => dose(id, 1)) }]);
      expect(after).toEqual({ id: 'n1', medications: left.map((id) => dose(id, 1)) });
    });

    test('[D3 L6] moves an element where others put back another one elsewhere', async () => {
      const away = await open({ medications: ['m1', 'm2', 'm3', 'm4'].map((id) => dose(id, 1)) });
      await away.visit();
      away.day(1);
      const medications = (doc: Y.Doc) => noteOf(doc).get('medications') as Y.Array<object>;
      away.write((doc) => medications(doc).delete(1));
      away.write((doc) => medications(doc).push([dose('m2', 2)]));
      const sent = ['m4', 'm1', 'm2', 'm3'].map((id) => dose(id, 1));
      const after = await away.back([2, { medications: sent }]);
      expect(after).toEqual({
        id: 'n1',
        medications: [dose('m4', 1), dose('m1', 1), dose('m3', 1), dose('m2', 2)],
      });
    });

    test('[L7] what it only sends along does not come back with a record that others made anew', async () => {
      const away = await open({ a: 1, b: 1, c: { of: 'old' }, list: [dose('m1', 1)] });
      await away.visit();
      away.day(1);
      away.set({ b: 2 });
      away.day(2);
      away.write((doc) => doc.getMap('notes').delete('n1'));
      away.day(3);
      away.write((doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', d: 'anew' }));
      const old = { c: { of: 'old' }, list: [dose('m1', 1)] };
      expect(await away.back([4, { a: 'mine', b: 1, ...old }])).toEqual({ id: 'n1', a: 'mine', d: 'anew' });
    });

    test.each([2, null])('adds values to a list that was empty, on day %s', async (day) => {
      const away = await open({ tags: [] });
      await away.visit(async (tablet) => {
        await tablet.update('notes', { id: 'n1', tags: [], known: 1 });
      });
      away.day(1);
      away.set({ tags: ['theirs'] });
      const after = await away.back([day, { tags: ['mine'], known: 1 }]);
      expect(after).toMatchObject({ tags: expect.arrayContaining(['mine', 'theirs']) });
    });

    test('keeps it without a time, too', async () => {
      const away = await open({ a: 1, b: 1 });
      await away.visit();
      away.day(1);
      away.set({ b: 'of others' });
      expect(await away.back([null, { a: 2, b: 1 }])).toEqual({ id: 'n1', a: 2, b: 'of others' });
    });

    test('[L6] of two writes of one field the later one stays', async () => {
      const away = await open({ early: 1, late: 1, same: 1 });
      await away.visit();
      away.day(1);
      away.set({ early: 'of others', same: 'of both' });
      away.day(5);
      away.set({ late: 'of others' });
      const after = await away.back([3, { early: 'mine', late: 'mine', same: 'of both' }]);
      expect(after).toEqual({ id: 'n1', early: 'mine', late: 'of others', same: 'of both' });
    });

    test('removes what it removed, and makes nothing anew that others removed', async () => {
      const away = await open({ mine: 1, theirs: 1, stays: 1 });
      await away.visit(async (tablet) => {
        await tablet.update('notes', { id: 'n1', mine: 1, theirs: 1, stays: 2 });
      });
      away.day(1);
      away.write((doc) => noteOf(doc).delete('theirs'));
      expect(await away.back([2, { theirs: 1, stays: 2 }])).toEqual({ id: 'n1', stays: 2 });
    });

    test('undoes nothing that others wrote over what it wrote itself before', async () => {
      const away = await open({ a: 1, b: 1 });
      await away.visit(async (tablet) => {
        await tablet.update('notes', { id: 'n1', a: 'mine', b: 1 });
      });
      away.day(1);
      away.set({ a: 'of others' });
      expect(await away.back([2, { a: 'mine', b: 2 }])).toEqual({ id: 'n1', a: 'of others', b: 2 });
    });

    test('[L7] makes nothing anew that others deleted meanwhile', async () => {
      const away = await open({ a: 1 });
      await away.visit();
      away.day(1);
      away.write((doc) => doc.getMap('notes').delete('n1'));
      expect(await away.back([2, { a: 2 }])).toBeNull();
    });

    test('[L7] makes nothing anew that others deleted while the tablet left', async () => {
      const away = await open({ a: 1 });
      await away.visit(async (tablet) => {
        away.write((doc) => doc.getMap('notes').delete('n1'));
        await away.ward.document.durable(); // it is on its way
        tablet.leave();
      });
      expect(await away.back([2, { a: 2 }])).toBeNull();
    });

    test('[L7] nor where it had nothing but its id', async () => {
      const away = await open({});
      await away.visit(async (tablet) => {
        away.write((doc) => doc.getMap('notes').delete('n1'));
        await away.ward.document.durable();
        tablet.leave();
      });
      expect(await away.back([2, { a: 2 }])).toBeNull();
    });

    test.each([2, null])('[L7] makes anew what it had deleted itself, on day %s', async (day) => {
      const away = await open({ a: 1 });
      await away.visit((tablet) => tablet.delete('notes', 'n1'));
      expect(await away.back([day, { a: 9 }])).toEqual({ id: 'n1', a: 9 });
    });

    test('[L7] makes nothing anew that others made and deleted after it had deleted it', async () => {
      const away = await open({ a: 1 });
      await away.visit(async (tablet) => {
        await tablet.delete('notes', 'n1');
        away.write((doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', a: 'anew' }));
        away.write((doc) => doc.getMap('notes').delete('n1'));
        await away.ward.document.durable();
        tablet.leave();
      });
      expect(await away.back([2, { a: 9 }])).toBeNull();
    });

    test.each([2, null])('[L6] puts back on day %s what it had changed itself before', async (day) => {
      const away = await open({ a: 1, b: 1 });
      await away.visit((tablet) => tablet.update('notes', { id: 'n1', a: 2, b: 1 }));
      away.day(1);
      away.set({ b: 'of others' });
      expect(await away.back([day, { a: 1, b: 1 }])).toEqual({ id: 'n1', a: 1, b: 'of others' });
    });

    test('[L5 L6] puts back without a time what it had before it deleted the record', async () => {
      const away = await open({ a: 0 });
      await away.visit(async (tablet) => {
        await tablet.update('notes', { id: 'n1', a: 0, known: 1 });
        await tablet.delete('notes', 'n1');
        away.write((doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1' }));
        await away.ward.document.durable(); // it is on its way
        tablet.leave();
      });
      const after = await away.back([null, { b: 'mine' }], [null, { b: 'mine', a: 0 }]);
      expect(after).toEqual({ id: 'n1', a: 0, b: 'mine' });
    });

    test('[L7] what others deleted and made anew stays theirs', async () => {
      const away = await open({ a: 1, b: 1 });
      await away.visit();
      away.day(1);
      away.write((doc) => doc.getMap('notes').delete('n1'));
      away.day(3);
      away.write((doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', a: 'anew' }));
      expect(await away.back([2, { a: 2, b: 1 }])).toEqual({ id: 'n1', a: 'anew' });
    });

    test('[L7] creates what never was, and changes that again', async () => {
      const away = await open({ a: 1 });
      await away.visit();
      away.write((doc) => doc.getMap('notes').delete('n1'));
      // Something of it shows how its clock goes: so what it sends later was made after it had read of the deletion.
      await away.visit((tablet) => tablet.update('notes', { id: 'n2' }));
      const writes = [
        [2, { a: 2 }],
        [3, { a: 3, b: 3 }],
      ] as const;
      expect(await away.back(...writes)).toEqual({ id: 'n1', a: 3, b: 3 });
    });

    test('[L7] what it changed of a record that others deleted and made anew undoes nothing in that', async () => {
      const away = await open({ a: 1, b: 1 });
      await away.visit();
      away.day(1);
      away.write((doc) => doc.getMap('notes').delete('n1'));
      away.day(3);
      away.write((doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', a: 'anew', list: [1] }));
      expect(await away.back([4, { a: 1, b: 2 }])).toEqual({ id: 'n1', a: 'anew', b: 2, list: [1] });
    });

    test.each([2, 4, null])('[L9] on day %s does not delete what others made anew on day 3', async (day) => {
      const away = await open({ a: 1 });
      await away.visit();
      away.day(1);
      away.write((doc) => doc.getMap('notes').delete('n1'));
      away.day(3);
      away.write((doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', a: 'anew' }));
      expect(await away.back([day, null])).toEqual({ id: 'n1', a: 'anew' });
    });

    test('[L9] deletes', async () => {
      const away = await open({ a: 1 });
      await away.visit();
      expect(await away.back([2, null])).toBeNull();
    });

    test('[L5] sends its queue once more and changes nothing by it', async () => {
      const away = await open({ a: 1, b: 1 });
      await away.visit();
      away.day(1);
      away.set({ b: 'of others' });
      expect(await away.back([2, { a: 2, b: 1 }], [3, { a: 3, b: 1 }])).toMatchObject({ a: 3 });
      away.set({ a: 'of others' });
      const tablet = await away.ward.line('tablet').ready();
      for (const [day, a] of [
        [2, 2],
        [3, 3],
      ] as const)
        await tablet.update('notes', { id: 'n1', a, b: 1 }, BEGIN + day * DAY);
      expect(away.ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 'of others', b: 'of others' });
    });

    test('[L5] takes nothing back by what it built on a message that crossed its own write before', async () => {
      const away = await open({ a: 1, b: 1 });
      let crossed = 0;
      await away.visit(async (tablet) => {
        away.set({ b: 'of others' });
        crossed = (away.ward.now - BEGIN) / DAY;
        await away.ward.document.durable(); // it is on its way
        tablet.leave();
      });
      away.day(1);
      away.set({ b: 'newer' });
      const [own, next] = [crossed + 10 / DAY, crossed + 20 / DAY];
      const after = await away.back([own, { a: 2, b: 1 }], [next, { a: 1, b: 'of others', c: 3 }]);
      expect(after).toEqual({ id: 'n1', a: 2, b: 'newer', c: 3 });
    });

    test('[L5] sends its queue some time after it came back', async () => {
      const away = await open({ a: 1, b: 1 });
      await away.visit();
      away.day(1);
      away.set({ b: 'of others' });
      away.day(RETURN);
      const tablet = await away.ward.line('tablet').ready();
      await away.ward.prune();
      await tablet.update('notes', { id: 'n1', a: 2, b: 1 }, BEGIN + 2 * DAY);
      expect(away.ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 2, b: 'of others' });
    });

    test('holds what it wrote against prunings of years', async () => {
      const away = await open({ a: 1, b: 1, c: 1, d: 1 });
      await away.visit();
      for (const [day, field] of [
        [1, 'b'],
        [130, 'b'],
        [260, 'c'],
        [300, 'b'],
      ] as const) {
        away.day(day);
        await away.ward.restart();
        away.set({ [field]: `of day ${day}` });
      }
      const after = await away.back([280, { a: 2, b: 1, c: 'mine', d: 1, more: 1 }]);
      expect(after).toEqual({ id: 'n1', a: 2, b: 'of day 300', c: 'mine', d: 1, more: 1 });
    });
  });

  test('makes nothing anew that others deleted after what is pruned (L7)', async () => {
    const away = await Away.with(await shelf(), 90, { a: 1 });
    const deleteIt = () => away.write((doc) => doc.getMap('notes').delete('n1'));
    await away.visit();
    away.day(1);
    away.set({ a: 'of others' });
    away.day(RETURN);
    await away.ward.restart();
    expect(await away.ward.revisions()).toEqual([]);
    const silent = await away.ward.line('tablet', { answers: false }).ready();
    deleteIt();
    await away.ward.document.durable();
    silent.leave();
    away.day(RETURN + 2);
    const tablet = await away.ward.line('tablet').ready();
    await tablet.update('notes', { id: 'n1', a: 2 }, BEGIN + (RETURN + 1) * DAY);
    expect(away.ward.json('notes', 'n1')).toBeNull();
  });

  test('undoes nothing by what crossed its own write, where only that is still told (L5)', async () => {
    const away = await Away.with(await shelf(), 100_000, { a: 1, b: 1 });
    let crossed = 0;
    await away.visit(async (tablet) => {
      away.write((doc) => writeRecord(doc, N1.collection, record('notes', 'n2').id, { id: 'n2' }));
      away.set({ b: 'of others' });
      crossed = (away.ward.now - BEGIN) / DAY;
      await away.ward.document.durable(); // it is on its way
      tablet.leave();
    });
    away.day(1);
    away.set({ b: 'newer' });
    await away.ward.document.durable();
    const untold = untoldRow({ upTo: 2, at: BEGIN, until: 2 }, Digests.anew());
    await away.ward.store.prune(Ward.USER, 2, [untold]);
    away.day(RETURN);
    await away.ward.restart();
    expect(await away.ward.revisions()).toEqual([3, 4]);
    const tablet = await away.ward.line('tablet').ready();
    const at = (seconds: number) => BEGIN + crossed * DAY + seconds * 1_000;
    await tablet.update('notes', { id: 'n1', a: 2, b: 1 }, at(10));
    await tablet.update('notes', { id: 'n1', a: 1, b: 'of others', c: 3 }, at(20));
    expect(away.ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 2, b: 'newer', c: 3 });
  });

  test('takes nothing back by what it built on a message that is not told any more (L5)', async () => {
    const away = await Away.with(await shelf(), 100_000, { a: 1, b: 1 });
    await away.visit();
    away.set({ b: 'of others' });
    away.ward.now += 20_000;
    const tablet = await away.ward.line('tablet', { answers: false }).ready();
    await tablet.update('notes', { id: 'n1', a: 2, b: 1, c: 3 }, away.ward.now - 10_000);
    tablet.leave(); // its app may be left with what the full sync showed
    away.ward.document.saveDevices('all');
    away.day(1);
    away.set({ b: 'newer' });
    await away.ward.document.durable();
    const untold = untoldRow({ upTo: 4, at: BEGIN + DAY, until: 4 }, Digests.anew());
    await away.ward.store.prune(Ward.USER, 4, [untold]);
    const after = await away.back([0.5, { a: 5, b: 'of others' }]);
    expect(after).toEqual({ id: 'n1', a: 5, b: 'newer', c: 3 });
  });

  test.each([
    ['makes anew what it had deleted itself', 2, { id: 'n1', a: 9 }],
    ['makes nothing anew by what is older than that', -1, null],
  ])('%s, where what came then is not told any more (L7)', async (_, days, after) => {
    const away = await Away.with(await shelf(), 90, { a: 1 });
    away.day(2);
    await away.visit((tablet) => tablet.delete('notes', 'n1'));
    away.day(RETURN - 10);
    await away.ward.restart();
    away.write((doc) => writeRecord(doc, N1.collection, record('notes', 'n2').id, { id: 'n2' }));
    await away.ward.document.durable();
    const { revision } = away.ward.document;
    const untold = untoldRow({ upTo: revision, at: BEGIN, until: revision }, Digests.anew());
    await away.ward.store.prune(Ward.USER, revision, [untold]);
    expect(await away.back([2 + days, { a: 9 }])).toEqual(after);
  });

  test('never met, makes anew what was deleted before (L7)', async () => {
    const away = await Away.with(await shelf(), 90, { a: 1 });
    away.day(1);
    away.write((doc) => doc.getMap('notes').delete('n1'));
    expect(await away.back([2, { a: 2 }])).toEqual({ id: 'n1', a: 2 });
  });

  test('never met, sends what is later than the last change of each field, and what never was', async () => {
    const away = await Away.with(await shelf(), 90, { a: 1, b: 1, at: { zip: 1 } });
    away.day(3);
    away.set({ b: 'of others' });
    away.write((doc) => noteOf(doc).set('gone', 1));
    away.write((doc) => noteOf(doc).delete('gone'));
    const after = await away.back([2, { a: 2, b: 2, at: { zip: 2 }, gone: 2, more: 2 }]);
    expect(after).toEqual({ id: 'n1', a: 2, b: 'of others', at: { zip: 2 }, more: 2 });
  });
});
