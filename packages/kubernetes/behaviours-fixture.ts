import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ExecUnderTest } from "#testing/conformance/exec.ts";

/** What a command does, acted out by a shell; texts and counts are files of this directory. */
export function behavioursIn(files: string): Pick<ExecUnderTest, "words" | "times"> {
  const writing = (text: string) => {
    const file = join(files, randomBytes(4).toString("hex"));
    writeFileSync(file, text);
    return `cat ${file}`;
  };
  return {
    words: ({ stdout = "", stderr = "", exits = 0, takesMs = 0 }) => {
      const count = `echo x >>${join(files, `times-${randomBytes(4).toString("hex")}`)}`;
      const rest = takesMs === null ? "while :; do sleep 1; done" : `sleep ${takesMs / 1000}`;
      return ["/bin/sh", "-c", `${count}; ${writing(stdout)}; ${writing(stderr)} >&2; ${rest}; exit ${exits}`];
    },
    times: ([, , script = ""]) => {
      const file = join(files, /times-[0-9a-f]+/.exec(script)?.[0] ?? "");
      return existsSync(file) ? readFileSync(file, "utf8").split("\n").length - 1 : 0;
    },
  };
}
