import { type RefObject, useLayoutEffect, useRef } from "react";

/** Returns a ref of an element. If it leaves the page with the focus, the content gets the focus. */
export function useLeftFocus<Kind extends HTMLElement>(): RefObject<Kind | null> {
  const ref = useRef<Kind>(null);
  useLayoutEffect(() => {
    const element = ref.current;
    return () => {
      if (element?.contains(document.activeElement)) document.getElementById("main")?.focus({ preventScroll: true });
    };
  }, []);
  return ref;
}
