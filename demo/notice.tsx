import type { ReactNode } from 'react';
import { Icon } from '../web/icons.js';

interface NoticeProps {
  readonly kind: 'info' | 'error';
  readonly children: ReactNode;
  readonly testId: string;
  readonly onClose?: () => void;
}

export function Notice({ kind, children, testId, onClose }: NoticeProps) {
  return (
    <div
      className="notice"
      data-kind={kind}
      role={kind === 'error' ? 'alert' : 'status'}
      data-testid={testId}
    >
      {kind === 'error' && <Icon name="warning" />}
      <p>{children}</p>
      {onClose && (
        <button
          type="button"
          className="button icon-only small"
          aria-label="Close this message"
          onClick={onClose}
        >
          <Icon name="close" size={15} />
        </button>
      )}
    </div>
  );
}
