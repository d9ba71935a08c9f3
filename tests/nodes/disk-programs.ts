import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildPackage, isThere, moduleFolder, programPath } from "../cluster/binary.ts";

const snapshotter = "github.com/kubernetes-csi/external-snapshotter";

/** Controllers that stand beside a CSI driver, by their Go package; tools/csi/go.mod pins the versions. */
const sidecars = {
  "csi-provisioner": "github.com/kubernetes-csi/external-provisioner/v5/cmd/csi-provisioner",
  "csi-snapshotter": `${snapshotter}/v8/cmd/csi-snapshotter`,
  "snapshot-controller": `${snapshotter}/v8/cmd/snapshot-controller`,
} as const satisfies Record<string, string>;

/** Kinds of the snapshot API, which a cluster has only if an administrator installed them. */
export const snapshotKinds = ["volumesnapshotclasses", "volumesnapshotcontents", "volumesnapshots"] as const;

const driverSources = ["main.go", "store.go", "controller.go", "node.go"].map((name) => join("driver", name));

/** Programs and files that give a cluster real disks, in the cache. */
export interface DiskPrograms {
  /** CSI driver of tools/csi. */
  readonly driver: string;
  sidecar(name: keyof typeof sidecars): string;
  /** Returns the CustomResourceDefinition of a kind, as YAML. */
  definition(kind: (typeof snapshotKinds)[number]): string;
}

export async function findDiskPrograms(env: NodeJS.ProcessEnv): Promise<DiskPrograms> {
  const [driver, controllers] = await Promise.all([
    programPath(env, "driver", driverSources, "csi"),
    programPath(env, ".", [], "csi"),
  ]);
  return {
    driver,
    sidecar: (name) => join(controllers, name),
    definition: (kind) => join(controllers, "definitions", definitionName(kind)),
  };
}

/** Builds what is missing: about two minutes of a processor if Go's cache has the control plane. */
export async function buildDiskPrograms(env: NodeJS.ProcessEnv): Promise<void> {
  const programs = await findDiskPrograms(env);
  await buildPackage(env, programs.driver, "./driver", "csi");
  for (const [name, goPackage] of Object.entries(sidecars))
    await buildPackage(env, programs.sidecar(name as keyof typeof sidecars), goPackage, "csi");
  await copyDefinitions(env, join(programs.definition("volumesnapshots"), ".."));
}

/** Copies the definitions from the module of the snapshot API, which Go downloaded to compile the sidecars. */
async function copyDefinitions(env: NodeJS.ProcessEnv, folder: string): Promise<void> {
  if (await isThere(folder)) return;
  const list = ["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", `${snapshotter}/client/v8`];
  const { stdout } = await promisify(execFile)("go", list, { cwd: moduleFolder("csi"), env });
  await mkdir(join(folder, ".."), { recursive: true });
  const draft = await mkdtemp(`${folder}.`);
  try {
    for (const name of snapshotKinds.map(definitionName))
      await copyFile(join(stdout.trim(), "config", "crd", name), join(draft, name));
    await rename(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function definitionName(kind: (typeof snapshotKinds)[number]): string {
  return `snapshot.storage.k8s.io_${kind}.yaml`;
}
