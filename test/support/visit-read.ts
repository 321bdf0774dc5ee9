/** A visit of the desk that a phone has read over HTTP, where scenes of lost and late answers begin. */
import { type App, MINUTE, Practice, SECOND } from './json-apps.js';

export interface VisitRead {
  readonly practice: Practice;
  readonly desk: App;
  readonly phone: App;
}

/** The phone has read it twice, and its clock is known. */
export async function visitRead(): Promise<VisitRead> {
  const practice = await Practice.open();
  const desk = await practice.connected('desk');
  desk.write({ id: 'v1', a: 1, b: 1 });
  await practice.settle();
  const phone = practice.app('phone');
  await phone.get();
  await practice.pass(SECOND);
  phone.write({ id: 'own', x: 0 });
  await phone.post('arrives', 'tagged');
  await practice.pass(MINUTE);
  await phone.get();
  await practice.pass(MINUTE);
  return { practice, desk, phone };
}
