/** The share of random runs that are made: all of them, but a few in the fast lane (`npm run test:fast`). */
const SHARE = Number(process.env.TEST_SHARE ?? 1);

export const runs = (all: number): number => Math.max(1, Math.ceil(all * SHARE));
