/** Properties draw the same cases in every run, or others with `TEST_SEED=<number>`. */
import './drawn-ids.js'; // before Yjs
import { configureGlobal } from 'fast-check';

configureGlobal({ seed: Number(process.env.TEST_SEED ?? 1) });
