import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Mount, Run } from "#core/ports/compute.ts";
import { logText } from "#tests/fixtures/log-text.ts";
import { eventually, type Fixture, findPids, openFixture } from "../fixture.ts";
import { PATIENCE_MS } from "../patience-fixture.ts";
import { sandboxOptions } from "../sandbox/sandbox.ts";
import { canSandbox } from "../sandbox/sandbox-probe.ts";
import { volumeData } from "../volumes/volume-directory.ts";
import { type ProcessVolumes, processVolumes } from "../volumes/volumes.ts";

const resources = { cpus: 1, memoryMb: 512 };

describe.each(["bubblewrap", "none"] as const)("the volumes of a run, isolation %s", { retry: 0 }, (isolation) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  let fixture: Fixture;
  let volumes: ProcessVolumes;

  beforeEach(() => {
    fixture = openFixture({ isolation });
    volumes = processVolumes({ home: fixture.home });
  });
  afterEach(async () => {
    await volumes.shutdown();
    await fixture.close();
  });

  const mountsAt = (...paths: readonly string[]): Promise<Mount[]> =>
    Promise.all(
      paths.map(async (path) => {
        const wanted = { token: path, sizeGb: 5, zone: "z", snapshotId: undefined };
        return { volume: await volumes.createVolume(wanted), path };
      }),
    );
  const onDisk = (mount: Mount | undefined, name: string) =>
    join(volumeData(fixture.home, mount?.volume.id ?? ""), name);
  const run = async (changes: Partial<Run>) => {
    await fixture.compute.apply(fixture.runOf(changes));
    await fixture.ended();
    return logText(fixture.compute.readLog(fixture.uid, 1));
  };

  it("appear at their paths, even nested ones, and the first is the workspace", async () => {
    const mounts = await mountsAt("/home/dev8/workspace", "/home/dev8");
    const command = `pwd; echo "$WORKSPACE"; echo "$BERTH_VOLUME_1"; echo in-first > file;
      echo in-second > "$BERTH_VOLUME_2/file"; cat "$WORKSPACE/file"`;

    const [place, workspace, first, content] = (await run({ mounts, resources, command })).split("\n");

    const link = join(fixture.directory, "0/work/workspace");
    const asItIs = volumeData(fixture.home, mounts[0]?.volume.id ?? "");
    const bare = [asItIs, link, link, "in-first"];
    const inSandbox = [...[1, 2, 3].map(() => "/home/dev8/workspace"), "in-first"];
    expect([place, workspace, first, content]).toEqual(isolation === "bubblewrap" ? inSandbox : bare);
    expect(readFileSync(onDisk(mounts[0], "file"), "utf8")).toBe("in-first\n");
    expect(readFileSync(onDisk(mounts[1], "file"), "utf8")).toBe("in-second\n");
  });

  it("keep the files of a home that is on one of them, and later commands see these", async () => {
    const mounts = await mountsAt("/home/dev8/workspace", "/home/dev8", "/home/dev8/workspace/more");
    await fixture.compute.apply(
      fixture.runOf({ mounts, resources, command: 'echo kept > "$HOME/.profile"; exec sleep 3600' }),
    );
    await eventually(fixture.observe, (seen) => seen?.state === "ready");
    const exec = {
      id: "e",
      words: ["/bin/sh", "-c", `until grep kept "$HOME/.profile"; do sleep 0.1; done 2>&-; echo "$HOME"`],
      stdin: "",
      env: {},
      directory: undefined,
      timeoutMs: PATIENCE_MS,
    };
    await fixture.compute.startExec(fixture.uid, 1, exec);

    const said = await eventually(
      () => fixture.compute.readExec(fixture.uid, 1, "e", 1_000),
      (status) => status?.state === "ended",
    );

    const bare = volumeData(fixture.home, mounts[1]?.volume.id ?? "");
    expect(said?.stdout).toBe(`kept\n${isolation === "bubblewrap" ? "/home/dev8" : bare}\n`);
    expect(existsSync(onDisk(mounts[1], ".profile"))).toBe(true);
  });

  it("are attached while it lives, and no other run gets them", async () => {
    const [free, ...mounts] = await mountsAt("/free", "/workspace", "/data");
    await fixture.compute.apply(fixture.runOf({ mounts }));
    const attached = async () =>
      Promise.all(mounts.map(async ({ volume }) => (await volumes.findVolume(volume.id))?.attached));
    const during = await attached();

    const both = [free, mounts[1]].filter((mount) => mount !== undefined);
    const otherEntry = fixture.compute.apply(fixture.runOf({ uid: "e".repeat(32), mounts: both }));

    await expect(otherEntry).rejects.toThrow("The volume is in use by another run");
    expect(during).toEqual([true, true]);
    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: true });
    await eventually(attached, (now) => now.every((entry) => entry === false));
  });

  it("are refused at a system path or an invalid path", async () => {
    const [mount] = await mountsAt("/workspace");
    for (const path of ["/", "/etc", "/usr/lib", "/proc/x", "workspace", "/a/../etc", "/a//b", "/a\0", ""]) {
      const applying = fixture.compute.apply(fixture.runOf({ mounts: mount ? [{ ...mount, path }] : [] }));

      await expect(applying, path).rejects.toThrow("The mount path of the volume is not valid");
    }
    expect(await fixture.compute.listRuns()).toEqual([]);
  });

  it("hide no process when the run ends, and keep the next run's processes", async () => {
    const mounts = await mountsAt("/workspace");
    const hides = `(setsid env -i /bin/sleep 3617 &); sleep 0.3; exit 3`;
    await fixture.compute.apply(fixture.runOf({ mounts, resources, command: hides }));
    await fixture.ended();
    const left = findPids(fixture, "/bin/sleep 3617");

    await fixture.compute.apply(fixture.runOf({ run: 2, mounts, resources, command: "exec env -i /bin/sleep 3618" }));
    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: true });
    await eventually(fixture.observe, (seen) => seen === undefined);

    expect(left).toEqual([]);
    expect(await fixture.compute.observe(fixture.uid, 2)).toMatchObject({ state: "ready" });
  });

  // A run can do this: in a mount namespace without the inner volume, its mount point is an ordinary directory.
  it.each([
    ["a directory of the machine", "/workspace"],
    ["a directory above the place", "/workspace/deeper"],
    ["the sandbox's own programs", "/workspace"],
  ])("stay in place when a nested mount point has become a link: %s", async (subject, inner) => {
    const mounts = await mountsAt(`/home/dev8${inner}`, "/home/dev8");
    const outside = join(fixture.root, "outside");
    mkdirSync(outside);
    const target = subject.startsWith("the sandbox") ? "/newroot/usr/local/sbin" : `/oldroot${outside}`;
    const [, place = ""] = inner.split("/");
    symlinkSync(target, onDisk(mounts[1], place));
    const program = onDisk(mounts[0], "setpriv");
    writeFileSync(program, "#!/bin/sh\necho taken as $(id -u)\n", { mode: 0o755 });

    const seen = await run({
      mounts,
      resources,
      command: `[ -O "$WORKSPACE" ] && echo x > "$WORKSPACE/file" && echo ran`,
    });

    expect(seen).toBe("ran\n");
    expect(readdirSync(outside)).toEqual([]);
    expect(existsSync(onDisk(mounts[0], "file"))).toBe(true);
  });

  it("do not move the stack's home when one contains it through a link", async () => {
    const mounts = await mountsAt(fixture.root);
    symlinkSync("/oldroot/usr", onDisk(mounts[0], "home"));

    const seen = await run({ mounts, command: "ls -d home && echo ran" });

    expect(seen).toBe("home\nran\n");
  });

  it("are replaced by a temporary directory for a run without one", async () => {
    const seen = await run({ resources, command: 'echo x > file; cat "$WORKSPACE/file"' });

    expect(seen).toBe("x\n");
    expect(existsSync(join(fixture.directory, "0/work/workspace/file"))).toBe(true);
  });
});

describe("the rest of a sandbox with volumes", () => {
  it("shows system programs, and /opt except where a volume is mounted", () => {
    const fixture = openFixture({ isolation: "none" });
    const [first = "none"] = readdirSync("/opt");

    const words = sandboxOptions({
      home: fixture.home,
      work: undefined,
      start: undefined,
      programs: [],
      memoryMb: null,
      env: {},
      network: "shared" as const,
      binds: [
        { from: "/from/inner", path: `/opt/${first}/inner` },
        { from: "/from/outer", path: "/srv/data" },
      ],
    }).join(" ");

    expect(words).toContain("--ro-bind-try /usr /usr");
    expect(words).not.toContain(`--ro-bind-try /opt/${first} `);
    for (const hidden of ["/root", "/home", "/var", "/srv", "/mnt", "/etc", "/etc/shadow"]) {
      expect(words).not.toContain(`-bind-try ${hidden} `);
    }
    return fixture.close();
  });

  it("mounts outer volumes first", () => {
    const fixture = openFixture({ isolation: "none" });

    const words = sandboxOptions({
      home: fixture.home,
      work: undefined,
      start: undefined,
      programs: [],
      memoryMb: null,
      env: {},
      network: "shared" as const,
      binds: [
        { from: "/from/inner", path: "/data/in/it" },
        { from: "/from/outer", path: "/data" },
      ],
    }).join(" ");

    expect(words.indexOf("/from/outer")).toBeLessThan(words.indexOf("/from/inner"));
    return fixture.close();
  });
});
