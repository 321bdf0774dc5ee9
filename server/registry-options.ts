/** The documents, by the options. */
import { randomInt } from 'node:crypto';
import type { ServerClock } from './clock.js';
import type { Config } from './config.js';
import { DocumentRegistry, type RegistryOptions } from './documents/registry.js';
import type { Log } from './log.js';
import { logEdit } from './log-edits.js';
import { NEVER } from './option-kinds.js';

const DAY = 86_400_000;

type Work = Pick<
  RegistryOptions,
  'store' | 'dryRuns' | 'rewritingWorkers' | 'turns' | 'onFailed' | 'onRewritten' | 'onPruned' | 'onLoaded'
>;

export function registryOf(config: Config, log: Log, clock: ServerClock, work: Work): DocumentRegistry {
  return new DocumentRegistry({
    ...work,
    idleTimeout: config.idleTimeout,
    memoryBudget: config.memoryBudget / 2,
    restAfter: config.restAfter < NEVER ? config.restAfter : null,
    maxDepth: config.maxDepth,
    limits: config,
    maxStructs: config.maxStructs,
    maxDeleteRanges: config.maxDeleteRanges,
    compactUpdates: config.compactUpdates,
    compactBytes: config.compactBytes,
    // Late edits come hours after, so what lost is kept for a day even where no history is.
    keepFor: Math.max(config.historyDays, 1) * DAY,
    historyDays: config.historyDays,
    now: clock.now,
    times: clock,
    randomId: () => randomInt(2 ** 32),
    onRebuilt: (user, error) => log('documentRebuilt', { user, error }),
    onViewDamaged: (user) => log('viewDamaged', { user }),
    onHistoryDamaged: (user, revision) => log('historyDamaged', { user, revision }),
    onSaved: config.logLevel === 'debug' ? (user, change) => logEdit(log, user, change) : undefined,
    onCompacted: (user, sizes) => log('compacted', { user, ...sizes }),
    onUnexpected: (error) => log('unexpected', { where: 'document', error }),
  });
}
