import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildBinary } from "#tests/cluster/binary.ts";
import { buildDiskPrograms } from "#tests/nodes/disk-programs.ts";
import { buildImages } from "#tests/nodes/images.ts";
import { plantOnNodes } from "#tests/nodes/planted-on-nodes.ts";
import { buildPrograms, type NodePrograms } from "#tests/nodes/programs.ts";
import { findFullDisk, findMissing, lacksSysResource, readFacts } from "#tests/nodes/requirements.ts";
import { unpackImages } from "#tests/nodes/unpacked-images.ts";
import { findMissingForTools } from "./images/tools-image.ts";

/**
 * `npm run test:nodes` builds a control plane, a kubelet and images once, then runs the tests on real nodes. With
 * `--requirements` it only says whether this machine can: it fails if the machine lacks something. With `--build` it
 * builds, and runs no test. With `--planted` it plants mistakes in a copy of the driver, and fails if a test on real
 * nodes misses one.
 */
const facts = await readFacts(process.env);
const missing = findMissing(facts) ?? (await findMissingForTools(process.env));
const [option] = process.argv.slice(2);
const asksOnly = option === "--requirements";
if (missing !== undefined) {
  console.log(`skipped: the tests on real nodes: ${missing}`);
  process.exitCode = asksOnly ? 1 : 0;
} else if (option === "--build") await build();
else if (option === "--planted") await plant();
else if (option === "--planted-here") process.exitCode = (await plantOnNodes(console.log)) > 0 ? 1 : 0;
else if (!asksOnly) await runTests();

async function runTests(): Promise<void> {
  const fullDisk = await findFullDisk(tmpdir());
  if (fullDisk !== undefined) throw new Error(fullDisk);
  if (lacksSysResource(facts)) console.log("Without CAP_SYS_RESOURCE, containers keep the OOM score of these tests");
  await build();
  process.exitCode = await runChild("vitest", ["run", "--project", "nodes", ...process.argv.slice(2)], process.env);
}

/** Plants the mistakes in a mount namespace and a temporary folder of their own, so that nothing of them stays. */
async function plant(): Promise<void> {
  await build();
  const TMPDIR = await mkdtemp(join(tmpdir(), "berth-planted-nodes-"));
  try {
    const words = ["--mount", process.execPath, ...process.argv.slice(1, 2), "--planted-here"];
    process.exitCode = await runChild("unshare", words, { ...process.env, TMPDIR });
  } finally {
    await rm(TMPDIR, { recursive: true, force: true });
  }
}

/** Runs a program to its end, and returns its exit code. Signals are for the program. */
async function runChild(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(command, args, { stdio: "inherit", env });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  const [code] = await once(child, "exit");
  return code ?? 1;
}

async function build(): Promise<void> {
  const [{ pause }] = await Promise.all([buildGoPrograms(), buildImages(process.env)]);
  await unpackImages(process.env, pause);
}

/** The kubelet comes last: most of its packages are the control plane's, which Go's cache then has. */
async function buildGoPrograms(): Promise<NodePrograms> {
  await buildBinary(process.env);
  const programs = await buildPrograms(process.env);
  await buildDiskPrograms(process.env);
  return programs;
}
