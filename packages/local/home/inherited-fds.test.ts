import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

const module = JSON.stringify(new URL("./inherited-fds.ts", import.meta.url).href);
/** A program that prints the descriptors that its child inherits beyond the first three. */
const program = (closes: boolean) => `
  import { spawnSync } from "node:child_process";
  const { closeInherited } = await import(${module});
  if (${closes}) closeInherited();
  const { stdout } = spawnSync("/bin/sh", ["-c", "readlink /proc/$$/fd/*"]);
  process.stdout.write(stdout);
`;

it("programs of the stack do not inherit open files of its parent", ({ skip }) => {
  if (!existsSync("/proc/self/fdinfo")) skip("there is no /proc here");
  if (spawnSync("bash", ["-c", ":"]).status !== 0) skip("there is no bash here");
  const place = mkdtempSync(join(tmpdir(), "berth-inherited-"));
  const file = join(place, "secret");
  writeFileSync(file, "secret");

  const found = [false, true].map((closes) => {
    const words = [process.execPath, "--input-type=module", "-e", program(closes)];
    // Node itself passes on none but those after a gap.
    return String(spawnSync("bash", ["-c", 'exec 200<>"$0"; exec "$@"', file, ...words]).stdout);
  });

  const kept = readFileSync(file, "utf8");
  rmSync(place, { recursive: true });
  expect(found[0]).toContain(file);
  expect(found[1]).not.toContain(file);
  expect(kept).toBe("secret");
});
