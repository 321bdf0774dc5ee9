import { type ReactNode, useEffect, useRef, useState } from 'react';
import { sentenceOf } from './use-answer.js';

interface ConfirmProps {
  readonly title: string;
  readonly children: ReactNode;
  readonly action: string;
  /** Has to be typed first, where what is done can't be undone. */
  readonly typed?: string;
  readonly run: () => Promise<void>;
  readonly onClose: () => void;
}

/** Asks before something is changed. */
export function Confirm({ title, children, action, typed, run, onClose }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState('');
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);
  const go = async () => {
    setBusy(true);
    try {
      await run();
      onClose();
    } catch (problem) {
      setError(sentenceOf(problem));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} className="confirm" aria-labelledby="confirm-title" onClose={onClose}>
      <h2 id="confirm-title">{title}</h2>
      {children}
      {typed !== undefined && (
        <label>
          <span>
            Type <strong>{typed}</strong> to go on
          </span>
          <input value={text} autoComplete="off" onChange={({ target }) => setText(target.value)} />
        </label>
      )}
      {error !== null && <p role="alert">{error}</p>}
      <div className="actions">
        <button
          type="button"
          className="button danger"
          data-testid="confirm"
          disabled={isBusy || (typed !== undefined && text !== typed)}
          onClick={() => void go()}
        >
          {action}
        </button>
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </dialog>
  );
}
