import { useLayoutEffect, useState } from 'preact/hooks';

/** What of an element's inside is in sight, in pixels. */
export interface Viewport {
  readonly top: number;
  readonly left: number;
  readonly width: number;
  readonly height: number;
}

/** Returns what is in sight of an element that scrolls, and makes the component anew when that changes. */
export function useViewport(scroller: { readonly current: HTMLElement | null }): Viewport {
  const [viewport, setViewport] = useState<Viewport>({ top: 0, left: 0, width: innerWidth, height: innerHeight });
  useLayoutEffect(() => {
    const seen = scroller.current;
    if (seen === null) return undefined;
    const look = () =>
      setViewport({ top: seen.scrollTop, left: seen.scrollLeft, width: seen.clientWidth, height: seen.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(seen);
    seen.addEventListener('scroll', look, { passive: true });
    look();
    return () => {
      observer.disconnect();
      seen.removeEventListener('scroll', look);
    };
  }, []);
  return viewport;
}
