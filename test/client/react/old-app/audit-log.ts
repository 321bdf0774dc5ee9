import { syncManager } from '../../../../client/compat/index.js';

/** What happened to consultations, a line each, until it is stopped. */
export function watchConsultations(): { lines: string[]; stop: () => void } {
  const lines: string[] = [];
  const stop = syncManager.subscribe('consultations', ({ operation, data, collection }) => {
    lines.push(`${operation} ${collection} ${'id' in data ? data.id : data.length}`);
  });
  return { lines, stop };
}
