import { useLayoutEffect, useState } from "react";

/** Focuses what had the focus in the drawn first rows, once React's first commit has replaced them. */
export function KeptFocus(): null {
  const [selector] = useState(() => describeFocus(document.activeElement));
  useLayoutEffect(() => {
    if (selector === undefined || document.activeElement !== document.body) return;
    document.querySelector<HTMLElement>(`#root ${selector}`)?.focus({ preventScroll: true });
  }, [selector]);
  return null;
}

/** Returns a selector that finds the same link, or the content, in what React draws. */
function describeFocus(focused: Element | null): string | undefined {
  if (focused?.id === "main") return "#main";
  const href = focused?.getAttribute("href");
  if (!focused || !href) return undefined;
  const place = focused.className === "" ? "nav a" : `a.${focused.className}`;
  return `${place}[href="${CSS.escape(href)}"]`;
}
