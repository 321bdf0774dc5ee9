/** What was merged from whom, as the server's history tells it. */
import { fetchHistory, type HistoryEntry } from '../history.js';
import { DEVICE_IDS, nameOfDevice } from '../identity.js';
import { type Change, changesBetween } from './changes.js';
import type { Scene } from './scenes.js';

/** The newest revision of what a scene is about; 0 where there is none. */
export async function revisionOf({ place }: Scene, signal: AbortSignal): Promise<number> {
  const [newest] = await fetchHistory(place.id, signal);
  return newest?.revision ?? 0;
}

/** Such as `Room from Phone, status from Tablet`: what came after this revision. */
export async function captionOf(scene: Scene, since: number, signal: AbortSignal): Promise<string> {
  const entries = await fetchHistory(scene.place.id, signal);
  const parts = entries
    .filter(({ revision }) => revision > since)
    .reverse()
    .flatMap((entry) =>
      changesBetween(entry.before, entry.after, scene.fields).map((change) => part(change, entry)),
    );
  return parts.join(', ').replace(/^[a-z]/, (letter) => letter.toUpperCase());
}

function part({ field, name }: Change, { deviceId }: HistoryEntry): string {
  if (deviceId === DEVICE_IDS.history) return `${name} from the history`;
  const device = nameOfDevice(deviceId);
  return field === null ? `${name} by ${device}` : `${name} from ${device}`;
}
