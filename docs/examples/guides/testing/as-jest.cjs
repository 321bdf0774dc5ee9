// As much of Jest as offline.jest.cjs uses, for runs without it.
const assert = require('node:assert/strict');
const { afterEach, beforeEach, test } = require('node:test');

const expect = (found) => ({ toEqual: (wanted) => assert.deepEqual(found, wanted) });
Object.assign(globalThis, { afterEach, beforeEach, expect, test });
