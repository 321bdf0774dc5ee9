/** Runs a scene at the speed of people, on the real devices of this page. */
import type { SyncClient } from '../../client/index.js';
import { readSetting, writeSetting } from '../../web/settings.js';
import type { Actor, Actors } from '../actors.js';
import { fetchHistory, restore } from '../history.js';
import { USER } from '../identity.js';
import { Observable } from '../observable.js';
import { addSample, samples } from '../samples.js';
import { captionOf, revisionOf } from './caption.js';
import { SCENES, type Scene, type Step } from './scenes.js';
import { type Drawing, SIDES, Stage } from './stage.js';

export interface Playing {
  readonly scene: Scene;
  readonly phase: 'idle' | 'playing' | 'done';
  /** What happens now. */
  readonly say: string;
  /** What was merged from whom; empty until it is over. */
  readonly caption: string;
  /** It does not go on for quite a while. */
  readonly isWaiting: boolean;
}

/** What outlives a reload in the middle of a scene. */
interface Kept {
  readonly scene: string;
  readonly step: number;
  readonly since: number;
  readonly drawing: Drawing;
}

/** Time to read a sentence, and to look how something lies, in ms. */
const READ = 1_600;
const LOOK_AGAIN = 50;
/** So long a healthy server never takes, in ms. */
const TOO_LONG = 3_000;

export class Player {
  readonly playing: Observable<Playing>;
  readonly stage: Stage;
  readonly #actors: Actors;
  readonly #client: SyncClient;
  readonly #pace: number;
  #run = new AbortController();

  /** `client`: that of the phone, which brings back what a scene begins with. */
  constructor(actors: Actors, client: SyncClient, pace: number) {
    this.#actors = actors;
    this.#client = client;
    this.#pace = pace;
    this.stage = new Stage(actors, pace);
    const [scene] = SCENES;
    this.playing = new Observable<Playing>({
      scene: scene as Scene,
      phase: 'idle',
      say: '',
      caption: '',
      isWaiting: false,
    });
  }

  /** Shows the first scene, or goes on where a reload was part of one. */
  async begin(): Promise<void> {
    const kept = readSetting(KEPT, 'session');
    writeSetting(KEPT, '', 'session');
    await this.#until(() => this.#all().every((actor) => actor.isReady()), this.#run.signal);
    if (this.playing.current.phase !== 'idle') return;
    if (kept) await this.#resume(JSON.parse(kept));
    else this.stage.show(this.playing.current.scene);
  }

  /** What it shows and what follows is that of this scene; resolves when it is over, or another one begins. */
  play(scene: Scene): Promise<void> {
    return this.#perform(scene, 'The devices are made ready…', async (signal) => {
      await this.#prepare(scene, signal);
      const since = await revisionOf(scene, signal);
      this.stage.show(scene);
      await this.#pause(signal, 0.5);
      await this.#steps(scene, 0, since, signal);
    });
  }

  #resume({ scene: id, step, since, drawing }: Kept): Promise<void> {
    const scene = SCENES.find((each) => each.id === id) ?? this.playing.current.scene;
    return this.#perform(scene, 'The page is back, and what waited still waits.', async (signal) => {
      this.stage.show(scene, drawing);
      await this.#pause(signal);
      await this.#steps(scene, step, since, signal);
    });
  }

  async #perform(scene: Scene, say: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#run.abort();
    const run = new AbortController();
    this.#run = run;
    this.playing.set({ scene, phase: 'playing', say, caption: '', isWaiting: false });
    try {
      await work(run.signal);
    } catch (error) {
      if (run.signal.aborted) return;
      const reason = error instanceof TypeError ? 'The server can’t be reached.' : String(error);
      this.playing.set({ phase: 'idle', say: `${reason} Play it once more when it is there.` });
    }
  }

  async #steps(scene: Scene, first: number, since: number, signal: AbortSignal): Promise<void> {
    for (const [index, step] of scene.steps.entries()) {
      if (index < first) continue;
      this.playing.set({ say: step.say });
      await this.#pause(signal, 0.5);
      if (step.do === 'reload') return this.#reload({ scene: scene.id, step: index + 1, since });
      await this.#step(scene, step, signal);
      await this.#pause(signal);
      await this.#until(() => this.stage.isStill, signal);
    }
    await this.#settled(scene, signal);
    await this.#until(() => this.stage.isStill, signal);
    const caption = await captionOf(scene, since, signal);
    this.playing.set({ phase: 'done', say: '', caption });
  }

  async #step(scene: Scene, step: Exclude<Step, { do: 'reload' }>, signal: AbortSignal): Promise<void> {
    if (step.do === 'on' || step.do === 'off') {
      for (const name of step.devices) this.#actors[name].setOn(step.do === 'on');
      const isDone = (actor: Actor) => (step.do === 'on' ? isSettled(actor) : !actor.isOnline());
      await this.#until(() => step.devices.every((name) => isDone(this.#actors[name])), signal);
    } else if (step.do === 'edit') await this.#actors[step.device].change(scene.place, step.changes);
    else if (step.do === 'delete') await this.#actors[step.device].delete(scene.place);
    else await this.#bringBack(scene, signal);
  }

  /** The server has heard of the deletion by now, or hears of it soon. */
  async #bringBack(scene: Scene, signal: AbortSignal): Promise<void> {
    await this.#settled(scene, signal);
    const [newest] = await fetchHistory(scene.place.id, signal);
    if (newest !== undefined) await restore(newest);
  }

  #reload(kept: Omit<Kept, 'drawing'>): Promise<void> {
    writeSetting(KEPT, JSON.stringify({ ...kept, drawing: this.stage.drawing.current }), 'session');
    location.reload();
    return new Promise(() => {}); // this page is over
  }

  /** Everything online, and the record as the scene begins with it. */
  async #prepare(scene: Scene, signal: AbortSignal): Promise<void> {
    for (const actor of this.#all()) actor.setOn(true);
    const { collection, id } = scene.place;
    const sample = samples().find((each) => each.collection === collection && each.record.id === id);
    if (sample === undefined) throw new Error(`There is no sample ${collection} ${id}.`);
    await this.#settled(scene, signal);
    const fields = scene.fields.map((field) => [field, sample.record[field]] as const);
    if (this.#client.getRecord(collection, id) === null) await addSample(this.#client, sample);
    else await this.#client.updateData(collection, id, Object.fromEntries(fields));
    const isReady = (actor: Actor): boolean => {
      const record = actor.read(scene.place);
      return fields.every(([field, value]) => JSON.stringify(record?.[field]) === JSON.stringify(value));
    };
    await this.#until(() => this.#cast(scene).every(isReady), signal);
    await this.#settled(scene, signal);
  }

  /** Both devices have the same, and the server has it, too. */
  async #settled(scene: Scene, signal: AbortSignal): Promise<void> {
    const [left, right] = this.#cast(scene) as [Actor, Actor];
    const seen = (actor: Actor): string => {
      const record = actor.read(scene.place);
      return JSON.stringify(record && scene.fields.map((field) => record[field]));
    };
    await this.#until(() => this.#all().every(isSettled) && seen(left) === seen(right), signal);
  }

  #all(): Actor[] {
    return Object.values(this.#actors);
  }

  #cast({ devices }: Scene): Actor[] {
    return SIDES.map((side) => this.#actors[side === 'left' ? devices[0] : devices[1]]);
  }

  #pause(signal: AbortSignal, share = 1): Promise<void> {
    return wait(READ * this.#pace * share, signal);
  }

  async #until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
    const since = performance.now();
    for (; !isSo(); await wait(LOOK_AGAIN, signal)) {
      if (performance.now() - since > TOO_LONG && !this.playing.current.isWaiting)
        this.playing.set({ isWaiting: true });
    }
    if (this.playing.current.isWaiting) this.playing.set({ isWaiting: false });
  }
}

const KEPT = `${USER}:scene`;

const isSettled = (actor: Actor): boolean => actor.isOnline() && actor.pending() === 0;

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}
