import { existsSync } from "node:fs";
import { join } from "node:path";
import { systemPath } from "#process/sandbox/local-path.ts";

/** Returns words before a command line that hide a program from it. They need bubblewrap. */
export function withoutProgram(program: string): string[] {
  const places = systemPath.split(":").map((directory) => join(directory, program));
  const hidden = places.filter((place) => existsSync(place)).flatMap((place) => ["--ro-bind", "/dev/null", place]);
  return ["bwrap", "--dev-bind", "/", "/", ...hidden, "--"];
}
