import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemPath } from "../sandbox/local-path.ts";
import { zipDirectory } from "./zip.ts";

const hasUnpacker = spawnSync("unzip", ["-v"], { env: { PATH: systemPath } }).status === 0;

describe("a zip of a directory", () => {
  if (!hasUnpacker) {
    it("needs unzip", ({ skip }) => skip("this machine has no unzip"));
    return;
  }

  let root: string;
  let source: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "berth-zip-"));
    source = join(root, "source");
    mkdirSync(source);
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  const zip = () => zipDirectory(source, join(root, "made.zip"));
  const unzip = (): string => {
    // unzip reads names in the encoding of its locale.
    const env = { ...process.env, LC_ALL: "C.UTF-8" };
    execFileSync("unzip", ["-q", "-o", "-X", join(root, "made.zip"), "-d", join(root, "out")], { stdio: "pipe", env });
    return join(root, "out");
  };

  it("contains a thousand files in folders, empty folders, names of any script, and modes", async () => {
    for (let n = 0; n < 1_000; n += 1) {
      mkdirSync(join(source, `folder ${n % 10}`), { recursive: true });
      writeFileSync(join(source, `folder ${n % 10}`, `${n}.txt`), `text ${n}\n`);
    }
    mkdirSync(join(source, "empty"));
    writeFileSync(join(source, "größe-文件-🚀"), "");
    writeFileSync(join(source, "run.sh"), "#!/bin/sh\n", { mode: 0o755 });

    const { skipped } = await zip();
    const out = unzip();

    expect(skipped).toBe(0);
    expect(getContent(out)).toEqual(getContent(source));
    expect(readdirSync(join(out, "empty"))).toEqual([]);
    expect(statSync(join(out, "run.sh")).mode & 0o777).toBe(0o755);
  });

  it("keeps links as links, even broken ones and ones that leave the directory", async () => {
    writeFileSync(join(root, "secret"), "of the machine");
    symlinkSync(join(root, "secret"), join(source, "outside"));
    symlinkSync("nowhere", join(source, "dangling"));
    symlinkSync(".", join(source, "loop"));

    await zip();
    const out = unzip();

    expect(readFileSync(join(root, "made.zip"), "latin1")).not.toContain("of the machine");
    expect(["outside", "dangling", "loop"].map((name) => readlinkSync(join(out, name)))).toEqual([
      join(root, "secret"),
      "nowhere",
      ".",
    ]);
  });

  it("skips pipes and sockets without blocking, and names them", async () => {
    execFileSync("mkfifo", [join(source, "pipe")]);
    mkdirSync(join(source, "run"));
    const listener = createServer().listen(join(source, "run", "socket"));
    await once(listener, "listening");
    writeFileSync(join(source, "file"), "here");

    const { skipped } = await zip().finally(() => listener.close());

    expect(skipped).toBe(2);
    expect(readdirSync(unzip(), { recursive: true }).sort()).toEqual(["file", "run"]);
    const comment = readFileSync(join(root, "made.zip")).toString();
    expect(comment).toContain("2 are left out:\npipe (a pipe)\nrun/socket (a socket)");
  });

  it("percent-encodes names that other systems would misread", async () => {
    mkdirSync(join(source, "c:folder"));
    for (const name of ["c:drive", "back\\slash", "c:folder/\\"]) writeFileSync(join(source, name), name);

    expect(await zip()).toEqual({ skipped: 0 });

    expect([...getContent(unzip()).keys()]).toEqual(["back%5Cslash", "c%3Adrive", "c%3Afolder", "c%3Afolder/%5C"]);
  });

  it("contains every file of a folder under a unique name, whatever bytes the name has", async () => {
    const names = ["gr\xf6\xdfe", "gr\xf6\xdff", "gr%F6%DFe", "back\\slash", "back%5Cslash"];
    mkdirSync(join(source, "\u00e9"));
    for (const name of names) writeFileSync(Buffer.from(join(source, name), "latin1"), name);
    writeFileSync(join(source, "\u00e9", "größe"), "of UTF-8");

    expect(await zip()).toEqual({ skipped: 0 });
    const found = getContent(unzip());

    expect(found.get("\u00e9/größe")).toBe("of UTF-8");
    expect(found.get("gr%F6%DFe")).toBe("gr%F6%DFe");
    expect(found.get("gr%F6%DFf")).toBe("gr\xf6\xdff");
    expect(found.get("back%5Cslash")).toBe("back%5Cslash");
    expect([...found.values()].flatMap((text) => text ?? []).sort()).toEqual([...names, "of UTF-8"].sort());
  });

  it("skips unreadable entries, and names them", async () => {
    writeFileSync(join(source, "file"), "here");
    writeFileSync(join(source, "closed \n é"), "closed");
    chmodSync(join(source, "closed \n é"), 0);

    const { skipped } = await zip();

    const isReadable = process.getuid?.() === 0;
    const comment = readFileSync(join(root, "made.zip")).toString();
    expect(skipped).toBe(isReadable ? 0 : 1);
    expect(comment.includes("1 are left out:\nclosed ? é (could not be read)")).toBe(!isReadable);
  });

  it("skips sparse files beyond a limit, and names them", async () => {
    writeFileSync(join(source, "terabytes"), "begins");
    truncateSync(join(source, "terabytes"), 2_000_000_000_000);
    writeFileSync(join(source, "some"), "begins");
    truncateSync(join(source, "some"), 10_000_000);

    const { skipped } = await zip();
    const out = unzip();

    expect([skipped, readdirSync(out), statSync(join(out, "some")).size]).toEqual([1, ["some"], 10_000_000]);
    expect(readFileSync(join(root, "made.zip")).toString()).toContain("terabytes (takes far less on the disk)");
  });

  it("contains a file under each of its hard links, within the same limit", async () => {
    writeFileSync(join(source, "0"), randomBytes(600_000));
    for (const name of ["1", "2", "3"]) linkSync(join(source, "0"), join(source, name));

    const { skipped } = await zipDirectory(source, join(root, "made.zip"), { mostUnwrittenBytes: 1_500_000 });
    const out = unzip();

    expect([skipped, readdirSync(out).length]).toEqual([1, 3]);
    for (const name of readdirSync(out)) expect(statSync(join(out, name)).size).toBe(600_000);
  });

  it("contains files of any time", async () => {
    for (const year of [1901, 1970, 1979, 2026, 2150]) {
      writeFileSync(join(source, String(year)), "x");
      utimesSync(join(source, String(year)), new Date(`${year}-06-01T00:00:00Z`), new Date(`${year}-06-01T00:00:00Z`));
    }

    expect(await zip()).toEqual({ skipped: 0 });
    expect(readdirSync(unzip())).toHaveLength(5);
  });

  it("is valid although files grow, shrink and disappear during the read", async () => {
    const files = Array.from({ length: 40 }, (_, n) => join(source, `file-${n}`));
    for (const file of files) writeFileSync(file, "x".repeat(400_000));
    let turns = 0;
    const change = setInterval(() => {
      const file = files[turns % files.length] ?? "";
      turns += 1;
      if (turns % 3 === 0) rmSync(file, { force: true });
      else writeFileSync(file, "y".repeat(turns % 2 === 0 ? 10 : 2_000_000));
    }, 1);

    await zip().finally(() => clearInterval(change));

    expect(turns).toBeGreaterThan(5);
    expect(lstatSync(unzip()).isDirectory()).toBe(true);
  });

  it("fails if it cannot be written", async () => {
    writeFileSync(join(source, "file"), "x".repeat(1_000_000));

    await expect(zipDirectory(source, "/dev/full")).rejects.toThrow("ENOSPC");
    await expect(zipDirectory(join(root, "nowhere"), join(root, "made.zip"))).rejects.toThrow("ENOENT");
  });
});

function getContent(directory: string): Map<string, string | undefined> {
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
  const findText = (path: string) => (lstatSync(path).isFile() ? readFileSync(path, "utf8") : undefined);
  return new Map(paths.map((path) => [path, findText(join(directory, path))]));
}
