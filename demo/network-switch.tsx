interface NetworkSwitchProps {
  readonly device: string;
  readonly on: boolean;
  readonly onChange: (on: boolean) => void;
  readonly testId: string;
}

/** The network of one device, to be switched off and on. */
export function NetworkSwitch({ device, on, onChange, testId }: NetworkSwitchProps) {
  return (
    <button
      type="button"
      role="switch"
      aria-checked={on}
      aria-label={`${device}: network`}
      className="switch"
      data-testid={testId}
      onClick={() => onChange(!on)}
    >
      <span className="switch-label">Network</span>
      <span className="switch-track" />
    </button>
  );
}
