import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { findMissingForTools } from "./tools-image.ts";

it("a machine without compilers is told what to install", async () => {
  const folder = await mkdtemp(join(tmpdir(), "berth-path-"));
  onTestFinished(() => rm(folder, { recursive: true }));

  const sentence = await findMissingForTools({ PATH: folder });

  expect(sentence).toMatch(
    /^images\/tools cannot be built without go, gcc, make, tar, bzip2.*: on Debian, `apt-get inst/,
  );
  expect(sentence).toContain("`apt-get install golang gcc make tar bzip2");
  expect(sentence).toContain("docker build images/tools");
});

it("a machine that is not Linux is told to use a container engine", async () => {
  expect(await findMissingForTools(process.env, "darwin")).toBe(
    "images/tools is built on Linux, and this is darwin. Or build it with a container engine: docker build images/tools",
  );
});
