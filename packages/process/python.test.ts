import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { logText } from "#tests/fixtures/log-text.ts";
import { processCompute } from "./compute.ts";
import { type Fixture, lacks, openFixture } from "./fixture.ts";
import { systemPath } from "./sandbox/local-path.ts";

const has = (program: string) => systemPath.split(":").some((directory) => existsSync(`${directory}/${program}`));

describe.each(["bubblewrap", "none"] as const)("the programs of a run, isolation %s", (isolation) => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture({ isolation });
  });
  afterEach(async () => {
    await fixture.close();
  });

  const getOutput = async (command: string): Promise<string> => {
    await fixture.compute.apply(fixture.runOf({ command, image: "python:3.13" }));
    await fixture.ended();
    return logText(fixture.compute.readLog(fixture.uid, 1));
  };
  const lacking = has("python3") ? isolation === "bubblewrap" && lacks("shared") : "this machine has no python3";
  if (lacking) {
    it("need python3 and the sandbox", ({ skip }) => skip(lacking));
    return;
  }

  it("include python if the machine has python3", async () => {
    const seen = await getOutput(
      `printf 'print("a b", *__import__("sys").argv)' | python - 'x  y' "'"; python -c 'exit(7)'; echo $?`,
    );

    expect(seen).toBe("a b - x  y '\n7\n");
  });

  it("include the python of a virtual environment in LOCAL_PATH, without a note", async () => {
    const bin = join(fixture.shown, "venv/bin");
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, "python"), "#!/bin/sh\necho own\n", { mode: 0o755 });
    const programs = { path: `${bin}:${systemPath}`, shown: [fixture.shown] };
    await processCompute({ ...fixture.options, programs }).apply(
      fixture.runOf({ command: "python", image: "python:3.13" }),
    );

    const seen = await fixture.ended();

    expect(await logText(fixture.compute.readLog(fixture.uid, 1))).toBe("own\n");
    expect(seen?.notes.join()).not.toContain("python3");
  });

  it("are explained in a note if python is not the machine's own", async () => {
    await getOutput("true");

    const notes = (await fixture.observe())?.notes ?? [];
    expect(notes.some((note) => note.startsWith("python runs python3"))).toBe(!has("python"));
  });
});
