import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { discard } from "./discard.ts";

/** Deeper than PATH_MAX (limits.h). */
const deep = "for n in $(seq 30); do mkdir $0 && cd -P $0 || exit 1; done; echo x >file";

describe("the leftovers of a run", () => {
  let place: string;
  beforeEach(() => {
    place = mkdtempSync(join(tmpdir(), "berth-discard-"));
    mkdirSync(join(place, "left"));
  });
  afterEach(() => {
    spawnSync("rm", ["-rf", "--", place]);
  });

  it.each([
    ["directories deeper than any path", deep],
    ["a name outside UTF-8", "touch \"$(printf 'a\\377b')\""],
    ["a directory without list permission", "mkdir closed closed/more && chmod 0 closed/more closed"],
  ])("are all removed: %s", async (_, script) => {
    const { status } = spawnSync("/bin/sh", ["-c", script, "d".repeat(200)], { cwd: join(place, "left") });

    await discard(join(place, "left"));

    expect(status).toBe(0);
    expect(existsSync(join(place, "left"))).toBe(false);
  });

  it("are removed without following links", async () => {
    const kept = join(place, "kept");
    mkdirSync(kept);
    writeFileSync(join(kept, "file"), "x", { mode: 0o400 });
    symlinkSync(kept, join(place, "left/link"));
    mkdirSync(join(place, "left/closed"));
    symlinkSync(join(kept, "file"), join(place, "left/closed/link"));
    spawnSync("/bin/sh", ["-c", deep, "d".repeat(200)], { cwd: join(place, "left") });
    chmodSync(join(place, "left/closed"), 0);

    await discard(join(place, "left"));

    expect([existsSync(join(place, "left")), existsSync(join(kept, "file"))]).toEqual([false, true]);
    rmSync(kept, { recursive: true });
  });
});
