import type { Page } from "playwright-core";

export const markup = "<img src=x onerror=document.title=1><script>document.title=1</script>";
/** Marks that turn or hide text, and control characters. */
const marks = ["\u202E", "\u2066", "\u0007", "\u2028"];
/** 10 KB of markup and marks. */
export const hostile = repeat(markup + marks.join(""));

/** Returns at least 10 KB of a text. */
export function repeat(text: string): string {
  return text.repeat(Math.ceil(10_240 / text.length));
}

/** What a page does that shows hostile text as text alone. */
export const harmless = { elements: 0, isTurned: false, isWide: false, isOwned: false };

/** Returns what hostile text did to a page of 360 pixels. */
export async function lookAt(page: Page): Promise<typeof harmless> {
  const text = await page.locator("body").innerText();
  return {
    elements: await page.locator("main img, main script, a[href^='javascript:']").count(),
    isTurned: marks.some((mark) => text.includes(mark)),
    isWide: await page.evaluate("document.documentElement.scrollWidth > 360"),
    isOwned: (await page.title()) === "1",
  };
}

/** Values that select what a screen shows. */
const kept: ReadonlySet<string> = new Set(["status", "kind", "state", "result", "on_interruption"]);

/** Returns an answer with hostile text in place of every other text. */
export function poison(value: unknown, field = ""): unknown {
  if (typeof value === "string") return kept.has(field) ? value : hostile;
  if (Array.isArray(value)) return value.map((item) => poison(item, field));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, poison(item, name)]));
}
