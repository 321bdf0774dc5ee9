import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from 'react';

interface EditableProps {
  readonly label: string;
  readonly value: string;
  readonly onSave: (value: string) => void;
  readonly type?: 'text' | 'datetime-local';
  /** Stands where there is no value. */
  readonly hint: string;
  /** The value in words. */
  readonly words?: string;
  /** The same words, set in type. */
  readonly shown?: ReactNode;
  readonly className?: string;
  readonly testId: string;
}

/** A value that becomes an input where it stands: Enter or leaving it saves, Escape does not. */
export function Editable(props: EditableProps) {
  const { label, value, hint, words = value, shown = words, className = '', testId } = props;
  const isEmpty = value === '';
  const [editing, setEditing] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const hadFocus = useRef(false);
  useEffect(() => {
    if (!editing && hadFocus.current) button.current?.focus();
    hadFocus.current = false;
  }, [editing]);
  const stop = (byKey: boolean) => {
    hadFocus.current = byKey;
    setEditing(false);
  };
  if (editing) return <Input {...props} onEnd={stop} />;
  return (
    <button
      ref={button}
      type="button"
      className={`cell ${className}`}
      data-testid={testId}
      data-empty={isEmpty || undefined}
      aria-label={`${label}: ${isEmpty ? hint : words}. Edit`}
      onClick={() => setEditing(true)}
    >
      <Flash value={value}>{isEmpty ? hint : shown}</Flash>
    </button>
  );
}

interface FlashProps {
  readonly value: string;
  readonly children: ReactNode;
}

/** What is shown of a value, lit up when it changes. */
export function Flash({ value, children }: FlashProps) {
  const flashes = useFlashes(value);
  return (
    <span key={flashes} className={flashes > 0 ? 'flash' : undefined}>
      {children}
    </span>
  );
}

/** Counts the changes of a value since it was first shown. */
function useFlashes(value: string): number {
  const [seen, setSeen] = useState({ value, count: 0 });
  if (seen.value !== value) setSeen({ value, count: seen.count + 1 });
  return seen.count;
}

interface InputProps extends EditableProps {
  readonly onEnd: (byKey: boolean) => void;
}

function Input({ label, value, type = 'text', className = '', testId, onSave, onEnd }: InputProps) {
  const input = useRef<HTMLInputElement>(null);
  // Leaving it follows on Enter and Escape, too.
  const ended = useRef(false);
  useEffect(() => {
    input.current?.focus();
    if (input.current?.type === 'text') input.current.select();
  }, []);
  const end = (save: boolean, byKey: boolean) => {
    if (ended.current) return;
    ended.current = true;
    const next = input.current?.value ?? value;
    if (save && next !== value) onSave(next);
    onEnd(byKey);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' && event.key !== 'Escape') return;
    event.preventDefault();
    event.stopPropagation();
    end(event.key === 'Enter', true);
  };
  return (
    <input
      ref={input}
      className={`cell-input ${className}`}
      data-testid={`${testId}-input`}
      type={type}
      aria-label={label}
      defaultValue={value}
      onKeyDown={onKeyDown}
      onBlur={() => end(true, false)}
    />
  );
}
