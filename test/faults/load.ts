import { setTimeout as pause } from 'node:timers/promises';
import type { Chance } from './chance.js';
import type { Household } from './household.js';
import type { Writer } from './writer.js';

/** Longest pauses between two edits, and between two requests, in ms. */
const PAUSES = { edit: 12, request: 120 };
/** A device that has so many unconfirmed changes waits, so that a slow machine gets less load. */
const MOST_UNCONFIRMED = 40;

/** Ends a load; resolves when the last request under way has ended. */
export type Stop = () => Promise<void>;

/** All devices of these households edit, and use HTTP now and then. */
export function startLoad(households: readonly Household[], chance: () => Chance, pauses = PAUSES): Stop {
  const writers = households.flatMap((household) => household.writers);
  return startLoops([
    ...writers.map((writer) => (isOver: IsOver) => edit(writer, chance(), isOver, pauses.edit)),
    ...households.map((household) => (isOver: IsOver) => ask(household, chance(), isOver, pauses.request)),
  ]);
}

/** Only this device edits. */
export const startEdits = (writer: Editing, chance: Chance, longest = PAUSES.edit): Stop =>
  startLoops([(isOver) => edit(writer, chance, isOver, longest)]);

type IsOver = () => boolean;
type Editing = Pick<Writer, 'edit' | 'confirm' | 'unconfirmed'>;

export function startLoops(loops: readonly ((isOver: IsOver) => Promise<void>)[]): Stop {
  let over = false;
  const running = loops.map((loop) => loop(() => over));
  return async () => {
    over = true;
    await Promise.all(running);
  };
}

async function edit(writer: Editing, chance: Chance, isOver: IsOver, longest: number): Promise<void> {
  while (!isOver()) {
    const burst = chance.happens(0.05) ? 20 : 1;
    for (let left = writer.unconfirmed < MOST_UNCONFIRMED ? burst : 0; left > 0; left--) writer.edit();
    if (chance.happens(0.3)) writer.confirm();
    await pause(chance.between(0, longest));
  }
}

async function ask(
  { batch, exchange }: Household,
  chance: Chance,
  isOver: IsOver,
  longest: number,
): Promise<void> {
  while (!isOver()) {
    await (chance.happens(0.5) ? batch.send() : exchange.send());
    if (!isOver()) await pause(chance.between(0, longest));
  }
}
