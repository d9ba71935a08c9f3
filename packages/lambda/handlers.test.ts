import { expect, test } from "vitest";
import functions from "../../functions.json" with { type: "json" };

/** One queue and one record for each connection are still to come. */
const withoutHandler = ["functions/socket/shell.ts"];

test("every function has a handler for Lambda, but the web shell's", async () => {
  const lacking = [];
  for (const { file } of functions) {
    const { href } = new URL(`../../${file}`, import.meta.url);
    const loaded: { readonly handler?: unknown } = await import(/* @vite-ignore */ href);
    if (typeof loaded.handler !== "function") lacking.push(file);
  }

  expect(lacking).toEqual(withoutHandler);
});
