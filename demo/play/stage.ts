/**
 * What is drawn of two devices and the server between them. It follows what really happens there, and shows it more
 * slowly: a device of the drawing has what others changed only once the dot that carries it has come.
 */
import type { SyncRecord } from '../../client/index.js';
import type { Actor, Actors } from '../actors.js';
import { Observable } from '../observable.js';
import type { PaneName } from '../pane.js';
import { type Change, changesBetween } from './changes.js';
import type { Scene } from './scenes.js';

export const SIDES = ['left', 'right'] as const;
export type Side = (typeof SIDES)[number];
/** Who made a change: a device, or the history or another browser. */
export type Maker = PaneName | 'elsewhere';

export interface Dot {
  readonly key: number;
  readonly side: Side;
  readonly way: 'waiting' | 'up' | 'down';
  readonly by: Maker;
  readonly change: Change;
}

/** What the server has got since the scene began. */
export interface Arrived {
  readonly key: number;
  readonly by: Maker;
  readonly label: string;
}

export interface Drawn {
  readonly on: boolean;
  readonly record: SyncRecord | null;
}

export interface Drawing extends Readonly<Record<Side, Drawn>> {
  readonly dots: readonly Dot[];
  readonly server: readonly Arrived[];
}

const NOTHING: Drawn = { on: true, record: null };

/** How long a dot is on its way at the pace of people, in ms. */
const TRAVEL = 1_000;

export class Stage {
  readonly drawing = new Observable<Drawing>({ left: NOTHING, right: NOTHING, dots: [], server: [] });
  readonly #actors: Actors;
  /** How long a dot is on its way, in ms. */
  readonly travel: number;
  #scene: Scene | null = null;
  #stops: (() => void)[] = [];
  /** As the devices were at the last look. */
  #known: Record<Side, SyncRecord | null> = { left: null, right: null };
  readonly #writes: Record<Side, number> = { left: 0, right: 0 };
  /** Whether the device itself has written since the last look. */
  readonly #wrote: Record<Side, boolean> = { left: false, right: false };
  #look: ReturnType<typeof setTimeout> | undefined;
  /** What is under way; of an earlier scene, it lands nowhere. */
  readonly #underWay = new Set<ReturnType<typeof setTimeout>>();
  #keys = 0;

  /** `pace`: how many times as long everything takes. */
  constructor(actors: Actors, pace: number) {
    this.#actors = actors;
    this.travel = TRAVEL * pace;
  }

  /** Draws this scene from now on, as the devices are now; or as a drawing was before the page was loaded again. */
  show(scene: Scene, before: Drawing | null = null): void {
    this.end();
    this.#scene = scene;
    for (const side of SIDES) {
      this.#known[side] = this.#actor(side).read(scene.place);
      this.#writes[side] = this.#actor(side).writes();
      this.#wrote[side] = false;
      this.#stops.push(this.#actor(side).subscribe(() => this.#changed(side)));
    }
    this.#keys = Math.max(this.#keys, ...(before?.dots ?? []).map(({ key }) => key), 0);
    this.drawing.set({
      left: this.#drawn('left'),
      right: this.#drawn('right'),
      dots: before?.dots.filter(({ way }) => way === 'waiting') ?? [],
      server: before?.server ?? [],
    });
  }

  end(): void {
    for (const stop of this.#stops.splice(0)) stop();
    clearTimeout(this.#look);
    this.#look = undefined;
    for (const timer of this.#underWay) clearTimeout(timer);
    this.#underWay.clear();
  }

  /** Nothing moves. */
  get isStill(): boolean {
    return this.#look === undefined && this.#underWay.size === 0;
  }

  #actor(side: Side): Actor {
    const [left, right] = this.#scene?.devices ?? ['phone', 'tablet'];
    return this.#actors[side === 'left' ? left : right];
  }

  #drawn(side: Side): Drawn {
    return { on: this.#actor(side).isOn(), record: this.#known[side] };
  }

  #changed(side: Side): void {
    if (this.#actor(side).writes() > this.#writes[side]) this.#wrote[side] = true;
    this.#look ??= setTimeout(() => {
      this.#look = undefined;
      // Who sends comes before who receives it.
      const order = [...SIDES].sort((a, b) => Number(this.#wrote[b]) - Number(this.#wrote[a]));
      for (const each of order) this.#lookAt(each);
    }, 0);
  }

  #lookAt(side: Side): void {
    const { place, fields } = this.#scene as Scene;
    const actor = this.#actor(side);
    const now = actor.read(place);
    const changes = changesBetween(this.#known[side], now, fields);
    const isFirst = this.#known[side] === null && this.drawing.current.server.length === 0;
    this.#known[side] = now;
    if (isFirst) this.drawing.set({ [side]: { ...this.drawing.current[side], record: now } });
    else for (const change of changes) this.#tell(side, change);
    this.#wrote[side] = false;
    this.#writes[side] = actor.writes();
    this.drawing.set({ [side]: { ...this.drawing.current[side], on: actor.isOn() } });
    if (actor.isOnline() && actor.pending() === 0) this.#send(side);
  }

  /** A change is the device's own, or one that came. */
  #tell(side: Side, change: Change): void {
    const { dots, server } = this.drawing.current;
    const isSame = ({ label }: { label: string }): boolean => label === change.label;
    const up = dots.find((dot) => dot.side !== side && dot.way !== 'down' && isSame(dot.change));
    const origin = up?.by ?? server.find(isSame)?.by;
    if (origin === undefined && this.#wrote[side]) {
      this.#reveal(side, change);
      this.#add({ side, way: 'waiting', by: this.#actor(side).name, change });
      return;
    }
    if (origin === undefined) this.#arrive('elsewhere', change);
    // It comes from the server once it is drawn there.
    const down = { side, way: 'down', by: origin ?? 'elsewhere', change } as const;
    this.#later(() => this.#bring(down), up === undefined ? 0 : this.travel);
  }

  #bring(down: Omit<Dot, 'key'>): void {
    this.#travelling(this.#add(down), () => this.#reveal(down.side, down.change));
  }

  #send(side: Side): void {
    const waiting = this.drawing.current.dots.filter((dot) => dot.side === side && dot.way === 'waiting');
    if (waiting.length === 0) return;
    const dots = this.drawing.current.dots.map((dot) =>
      waiting.includes(dot) ? { ...dot, way: 'up' as const } : dot,
    );
    this.drawing.set({ dots });
    for (const { key, by, change } of waiting) this.#travelling(key, () => this.#arrive(by, change));
  }

  #travelling(key: number, landed: () => void): void {
    this.#later(() => {
      this.drawing.set({ dots: this.drawing.current.dots.filter((dot) => dot.key !== key) });
      landed();
    }, this.travel);
  }

  #later(task: () => void, ms: number): void {
    const timer = setTimeout(() => {
      this.#underWay.delete(timer);
      task();
    }, ms);
    this.#underWay.add(timer);
  }

  #add(dot: Omit<Dot, 'key'>): number {
    this.#keys += 1;
    this.drawing.set({ dots: [...this.drawing.current.dots, { ...dot, key: this.#keys }] });
    return this.#keys;
  }

  #arrive(by: Maker, { label }: Change): void {
    const { server } = this.drawing.current;
    if (server.some((each) => each.label === label)) return;
    this.#keys += 1;
    this.drawing.set({ server: [...server, { key: this.#keys, by, label }] });
  }

  #reveal(side: Side, { field }: Change): void {
    const now = this.#known[side];
    const { record } = this.drawing.current[side];
    const shown =
      field === null || now === null || record === null ? now : { ...record, [field]: now[field] };
    this.drawing.set({ [side]: { ...this.drawing.current[side], record: shown } });
  }
}
