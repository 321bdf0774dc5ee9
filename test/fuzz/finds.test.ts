/** What `npm run fuzz` found, once each. Where it is refused now, or taken, everything holds that must. */
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { fuzz } from './fuzz.js';
import { outcomeOf } from './invariants.js';

const FINDS = [
  {
    name: 'neighbours in different places',
    base: [
      'AgOGiXoAJwEIcGF0aWVudHMCcjEBJwCGiXoAC2NvbnN0cnVjdHMhAgQAhol6AQ3wlq2Tw7rwnrKz6qGeBcOEPQAnAQhwYXRpZW50cwJyMgEhAMOEPQAM55Sf5bm05pyI5pelAQACp8OEPQECBADDhD0EEvCdi5PqnY7wm4Og4LaS8LCAgAHDhD0BAQM=',
      'Ag2GiXoAJwEIcGF0aWVudHMCcjEBJwCGiXoAC2NvbnN0cnVjdHMhAgQAhol6AQ3wlq2Tw7rwnrKz6qGeJwCGiXoADOeUn+W5tOaciOaXpQQHAIaJeggDAXAoAIaJegkFdGl0bGUBdw/qiKjwn5OE8JCChPCYrrSHhol6CQYEAIaJegsP6oio8J+ThPCQgoTwmK60JwDDhD0AAWEEBwCGiXoTAwFwKACGiXoUBXRpdGxlAXcQ4pWz77CU44WY8JOCnOqEoIeGiXoUBgQAhol6FhDilbPvsJTjhZjwk4Kc6oSgBcOEPQAnAQhwYXRpZW50cwJyMgEhAMOEPQAM55Sf5bm05pyI5pelAQACp8OEPQECBADDhD0EEvCdi5PqnY7wm4Og4LaS8LCAgAHDhD0BAQM=',
    ],
    update: 'AQGGiXod6IaJegCGiXoBAXcBeAA=',
  },
  {
    name: 'a struct that goes on where it did not begin',
    base: ['AgGGiXoAJwEIcGF0aWVudHMCcjEBA8OEPQAhAQhwYXRpZW50cwJyMQEAAycBCHBhdGllbnRzAnIyAQHDhD0BAAQ='],
    update: 'AgGGiXoAJwEIcGF0aWVudHMCcjEBAsOEPQAhAQhwYXRpZW50cwJyMXoAAwHDhD0BAAQ=',
  },
  {
    name: 'halves of characters in an array that lost',
    base: [
      'AQaGiXoAJwEIcGF0aWVudHMCcjEBJwCGiXoAAWEEBwCGiXoBAwFwKACGiXoCBXRpdGxlAXcE8JaqmoeGiXoCBgQAhol6BATwlqqaAA==',
    ],
    update:
      'AQfDhD0AJwEIcGF0aWVudHMCcjEBJwDDhD0AB2dyw7bDn2UCCADDhD0BAncD4b69fQ4nAMOEPQALY29uc3RydWN0cyEAJwEFbGF0ZXIBegEnAMOEPQALY29uc3RydWN0cyEABADDhD0EE86XzIDwkaqx4qy28JODvPCRg5cA',
  },
  {
    name: 'neighbours of which one stands inside the other',
    base: ['AQPDhD0AJwEIcGF0aWVudHMCcjEBJwDDhD0AB2dyw7bDn2UCBADDhD0BDuqoj/CRv4Xiq7vwkYiRAA=='],
    update: 'AQHDhD0I58OEPQDDhD0BAQA=',
  },
  {
    name: 'half a character at a key that lost',
    base: [
      'AQiGiXoAJwEIcGF0aWVudHMCcjIBJwEIcGF0aWVudHMCcjEBJwCGiXoBB2dyw7bDn2UEBwCGiXoCAwFwKACGiXoDBXRpdGxlAXcV4Y2Y76aN8J+XiPCepIrivYLwm7Kfh4aJegMGBACGiXoFFeGNmO+mjfCfl4jwnqSK4r2C8JuynygAhol6AAtjb25zdHJ1Y3RzIQF2Aw3wn5Gp4oCN4pqV77iPeAliaXJ0aERhdGV4AWF3DeGTjfCRjKLjgY/jgpkA',
    ],
    update:
      'AQfDhD0AJwEIcGF0aWVudHMCcjEBJwEIcGF0aWVudHMCcjIBJwDDhD0BDOeUn+W5tOaciOaXpQKEw4Q9AhjiuqLwn4+pzpHMk8yBZcyI8JCPg/CdmKQnAMOEPQALY29uc3RydWN0cyEBJwDDhD0PCvCQrI3iuZTimakBKADDhD0QAW4BdQN2AH2e/ebECntDP////////wA=',
  },
  {
    name: 'a known id sent again with a neighbour in the middle of a character',
    base: [
      'AQLDhD0AJwEIcGF0aWVudHMCcjIBKADDhD0ADOeUn+W5tOaciOaXpQF1BHQCd+d9jeUCdAHue6coLNqRflZgAA==',
      'AQmGiXoAJwEIcGF0aWVudHMCcjEBJwCGiXoAC2NvbnN0cnVjdHMhBAcAhol6AQMBcCgAhol6AgV0aXRsZQF3E/CQpKHhqLHwkZCS8J2EtPCRjK6Hhol6AgYEAIaJegQT8JCkoeGosfCRkJLwnYS08JGMricBCHBhdGllbnRzAnIyAScAhol6AAFhAgQAhol6DwbqrbDhl54A',
    ],
    update:
      'AgmGiXoAJwEIcGF0aWVudHMCcjEBJwCGiXoAC2NvbnN0cnVjdHMhBAcAhol6AQMBcCgAhol6AgV0aXRsZQF3E/CQpKHhqLHwkZCS8J2EtPCRjK6Hhol6AgYEAIaJegQT8JCkoeGosfCRkJLwnYS08JGMricBCHBhdGllbnRzAnIyAScAhol6AAFhAgQAhol6DwbqrbDhl54Cw4Q9ACcBCHBhdGllbnRzAnIyAaiGiXoIAXUEdAJ3532N5QJ0Ae57pygs2pF+VmAA',
  },
];

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

test.each(FINDS)('[S1] $name', ({ base, update }) => {
  expect(['refused', 'applied']).toContain(outcomeOf(base.map(bytes), bytes(update)));
});

test('[S1] [N2] [P10] users that sleep, some of them written anew, take or refuse what comes', async () => {
  const counts = await fuzz({ seed: 3, updates: 120 });
  expect(counts.finds).toEqual([]);
  for (const outcome of ['refused', 'waits', 'applied', 'answered'])
    expect(counts.of).toHaveProperty(`${outcome} asleep`);
  expect(counts.of).toHaveProperty('refused asleep, written anew');
});

test('[S1] the fuzzer notices a replica that differs', () => {
  const doc = new Y.Doc();
  doc.getMap('patients').set('p1', 1);
  const update = Y.encodeStateAsUpdate(doc);
  expect(outcomeOf([], update)).toBe('applied');
  expect(outcomeOf([update], update)).toBe('applied');
  expect(outcomeOf([], Uint8Array.of(1, 2, 3))).toBe('refused');
  expect(outcomeOf([], Uint8Array.of(0, 0))).toBe('empty');
});
