import { expect, it } from "vitest";
import type { Exec } from "#core/ports/exec.ts";
import { tellTerminals } from "./commands.ts";

const run = { uid: "0123456789abcdef0123456789abcdef", run: 2 };

async function told(kind: "warning" | "news" | "end", words: string) {
  const execs: (readonly [string, number, Exec])[] = [];
  await tellTerminals(async (...of) => void execs.push(of), run, { kind, words, at: 5 });
  return execs;
}

it.each(["warning", "news"] as const)("a %s is written to the terminals of the run's first machine", async (kind) => {
  const [[uid, number, exec] = [], ...others] = await told(kind, "Expires in 5 minutes");

  expect([uid, number, exec?.id, exec?.words.at(-1)]).toEqual([run.uid, 2, "notice-5", "[berth] Expires in 5 minutes"]);
  expect(others).toEqual([]);
});

it("the notice is an argument, not a part of the script", async () => {
  const [[, , exec] = []] = await told("news", "$(reboot); '`\"");

  expect(exec?.words.slice(0, -1).join(" ")).not.toContain("reboot");
});

it("the notice of an end is skipped", async () => {
  expect(await told("end", "This environment has expired")).toEqual([]);
});
