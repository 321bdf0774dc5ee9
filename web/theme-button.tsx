import { Icon } from './icons.js';
import { useTheme } from './theme.js';

export function ThemeButton() {
  const { theme, toggle } = useTheme();
  const other = theme === 'dark' ? 'light' : 'dark';
  return (
    <button
      type="button"
      className="button icon-only"
      data-testid="theme"
      aria-label={`Switch to the ${other} theme`}
      onClick={toggle}
    >
      <Icon name={other === 'dark' ? 'moon' : 'sun'} />
    </button>
  );
}
