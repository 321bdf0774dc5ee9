import { useCallback, useEffect, useState } from 'react';
import { ask, Refusal } from './api.js';

interface Asked<Answer> {
  /** `null` until it has come, or where it was not asked for. */
  readonly answer: Answer | null;
  readonly error: string | null;
  /** Another one for each answer, also for one that failed. */
  readonly answered: object | null;
  readonly again: () => void;
}

/** What the API answers at this path; `null` asks for nothing. */
export function useAnswer<Answer>(path: string | null): Asked<Answer> {
  const [state, setState] = useState<{ path: string | null; answer: Answer | null; error: string | null }>({
    path: null,
    answer: null,
    error: null,
  });
  const [times, setTimes] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `times` asks once more
  useEffect(() => {
    if (path === null) return;
    const gone = new AbortController();
    ask<Answer>(path, { signal: gone.signal }).then(
      (answer) => setState({ path, answer, error: null }),
      (error: unknown) => {
        if (!gone.signal.aborted) setState({ path, answer: null, error: sentenceOf(error) });
      },
    );
    return () => gone.abort();
  }, [path, times]);
  const again = useCallback(() => setTimes((before) => before + 1), []);
  const isOfPath = state.path === path;
  if (!isOfPath) return { answer: null, error: null, answered: null, again };
  return { answer: state.answer, error: state.error, answered: state, again };
}

export const sentenceOf = (error: unknown): string =>
  error instanceof Refusal ? error.message : 'Something went wrong on this page.';
