import { useEffect, useLayoutEffect, useState } from 'preact/hooks';

type Theme = 'light' | 'dark';

const asked = matchMedia('(prefers-color-scheme: dark)');

/** Light or dark as the reader's system asks, until it is switched here. */
export function ThemeSwitch() {
  const [chosen, setChosen] = useState<Theme | undefined>(undefined);
  const [isDark, setIsDark] = useState(asked.matches);
  useEffect(() => {
    const hear = () => setIsDark(asked.matches);
    asked.addEventListener('change', hear);
    return () => asked.removeEventListener('change', hear);
  }, []);
  useLayoutEffect(() => {
    if (chosen !== undefined) document.documentElement.dataset['theme'] = chosen;
  }, [chosen]);
  const shown = chosen ?? (isDark ? 'dark' : 'light');
  const other = shown === 'dark' ? 'light' : 'dark';
  return (
    <button type="button" class="theme" aria-label={`Switch to ${other} colours`} onClick={() => setChosen(other)}>
      <span aria-hidden="true">{shown === 'dark' ? '☀' : '☾'}</span>
    </button>
  );
}
