import { expect, test } from "vitest";
import { goneWords } from "./gone-words.ts";

test("a retired word is reported with its line and its replacement, in names and in comments", () => {
  const text = "interface ExecKeeper {}\n\n/** A stand-in. */";

  expect(goneWords("packages/process/x.ts", text)).toEqual([
    'packages/process/x.ts:1 says "Keeper": say supervisor',
    'packages/process/x.ts:3 says "stand-in": say placeholder',
  ]);
  expect(goneWords("packages/process/x.ts", "/** A supervisor. */")).toEqual([]);
});
