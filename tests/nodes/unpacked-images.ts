import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { buildOnce } from "../../scripts/images/build-once.ts";
import { cacheFolder } from "../cluster/binary.ts";
import { imagePaths, writePauseImage } from "./images.ts";
import { type Machine, startMachine } from "./machine.ts";
import { containerdSocket, formatContainerdBasis } from "./node-config.ts";

/** Folder of containerd on a node. */
export const containerdRoot = "/var/lib/containerd";

/** Change it whenever the folder is made differently. */
const recipe = "1";

/**
 * Returns a folder of containerd that has the images of every node, unpacked. Its large files are links into the cache:
 * the file systems of images and their layers, which containerd only reads. So a node copies it instead of unpacking
 * 165 MB.
 */
export async function unpackImages(env: NodeJS.ProcessEnv, pause: string): Promise<string> {
  const { debian } = imagePaths(env);
  const { stdout: version } = await promisify(execFile)("containerd", ["--version"]);
  const hash = createHash("sha256").update(JSON.stringify([recipe, version, pause, debian]));
  const path = join(cacheFolder(env), "images", `unpacked-${hash.digest("hex").slice(0, 12)}`);
  await buildOnce(path, async (draft) => {
    const home = join(draft, "machine");
    await mkdir(home);
    await importInto(home, pause, [await writePauseImage(pause, home), debian]);
    await rename(join(home, "lib/containerd"), join(draft, "containerd"));
    await rm(home, { recursive: true });
    await linkLargeFiles(draft, path);
  });
  return join(path, "containerd");
}

/** Imports archives on a machine that has only containerd, whose folder is then in the home of the machine. */
async function importInto(home: string, pause: string, archives: readonly string[]): Promise<void> {
  const config = join(home, "containerd.toml");
  await writeFile(config, `disabled_plugins = ["io.containerd.grpc.v1.cri"]\n${formatContainerdBasis()}`);
  const machine = await startMachine(pause, home);
  try {
    const containerd = machine.start("containerd", "containerd", ["--config", config]);
    await containerd.whileRunning(containerdAnswers(machine));
    for (const archive of archives) await importImage(machine, archive);
    containerd.signal("SIGTERM");
    await containerd.ended;
  } finally {
    await machine.stop();
  }
}

/** Moves file systems and blobs beside the folder of containerd, and links to their later paths. */
async function linkLargeFiles(draft: string, path: string): Promise<void> {
  const snapshots = join(draft, "containerd/io.containerd.snapshotter.v1.overlayfs/snapshots");
  const blobs = join(draft, "containerd/io.containerd.content.v1.content/blobs/sha256");
  const large = [
    ...(await readdir(snapshots)).map((id) => ({ file: join(snapshots, id, "fs"), name: `fs-${id}` })),
    ...(await readdir(blobs)).map((digest) => ({ file: join(blobs, digest), name: `blob-${digest}` })),
  ];
  for (const { file, name } of large) {
    await rename(file, join(draft, name));
    await symlink(join(path, name), file);
  }
}

/** Runs containerd's own client in the namespace of Kubernetes. */
async function ctr(machine: Machine, ...args: readonly string[]): Promise<string> {
  return machine.run("ctr", ["--address", containerdSocket, "--namespace", "k8s.io", ...args]);
}

export async function containerdAnswers(machine: Machine): Promise<void> {
  while (!(await ctr(machine, "version").catch(() => undefined))) await sleep(50);
}

export async function importImage(machine: Machine, archive: string): Promise<void> {
  await ctr(machine, "images", "import", archive).catch(({ stderr = "" }: { stderr?: string }) => {
    throw new Error(`Cannot unpack ${archive}: ${stderr.trim()}`);
  });
}
