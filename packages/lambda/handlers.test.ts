import { expect, test } from "vitest";
import functions from "../../functions.json" with { type: "json" };

test("every function has a handler for Lambda", async () => {
  const lacking = [];
  for (const { file } of functions) {
    const { href } = new URL(`../../${file}`, import.meta.url);
    const loaded: { readonly handler?: unknown } = await import(/* @vite-ignore */ href);
    if (typeof loaded.handler !== "function") lacking.push(file);
  }

  expect(lacking).toEqual([]);
});
