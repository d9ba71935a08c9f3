import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, it } from "vitest";
import { execConformance } from "#tests/conformance/exec.ts";
import { eventually, openFixture } from "../fixture.ts";
import type { Isolation } from "../runs/records.ts";
import { canSandbox } from "../sandbox/sandbox-probe.ts";
import type { Locking } from "../supervisor/lock.ts";

const ways: readonly (readonly [Isolation, Locking])[] = [
  ["bubblewrap", "flock"],
  ["none", "file"],
];

describe.each(ways)("process compute, isolation %s, lock by %s", (isolation, locking) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  execConformance(async () => {
    const fixture = openFixture({ isolation, locking });
    await fixture.compute.apply(fixture.runOf());
    await eventually(fixture.observe, (seen) => seen?.state === "ready");
    const writing = (text: string) => {
      const file = join(fixture.shown, randomBytes(4).toString("hex"));
      writeFileSync(file, text);
      return `cat ${file}`;
    };
    const work = join(fixture.directory, "0/work");
    return {
      compute: fixture.compute,
      applied: { uid: fixture.uid, run: 1 },
      pass: sleep,
      close: fixture.close,
      words: ({ stdout = "", stderr = "", exits = 0, takesMs = 0 }) => {
        const count = `echo x >>${join(work, `times-${randomBytes(4).toString("hex")}`)}`;
        const rest = takesMs === null ? "while :; do sleep 1; done" : `sleep ${takesMs / 1000}`;
        return ["/bin/sh", "-c", `${count}; ${writing(stdout)}; ${writing(stderr)} >&2; ${rest}; exit ${exits}`];
      },
      times: ([, , script = ""]) => {
        const file = /times-[0-9a-f]+/.exec(script)?.[0] ?? "";
        return existsSync(join(work, file)) ? readFileSync(join(work, file), "utf8").split("\n").length - 1 : 0;
      },
    };
  });
});
