/** The share of random runs that are made: all of them, but fewer of models in `npm test`, and few in `npm run test:fast`. */
const SHARE = Number(process.env.TEST_SHARE ?? 1);

export const runs = (all: number): number => Math.max(1, Math.ceil(all * SHARE));

/** One of so many: for sweeps that are made in order. */
export const SPREAD = Math.round(1 / SHARE);
