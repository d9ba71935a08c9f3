import { access, constants, readFile, statfs } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { isThere, whyNotBuilt } from "../cluster/binary.ts";
import { type CgroupFacts, readCgroupFacts } from "./cgroups.ts";

/** Facts about this machine that decide whether a kubelet and containers can run on it. */
export interface MachineFacts {
  readonly platform: string;
  readonly isRoot: boolean;
  /** Effective capabilities as a bit set (capabilities(7)). */
  readonly capabilities: bigint;
  readonly cgroups: CgroupFacts;
  /** Contents of /proc/filesystems. */
  readonly filesystems: string;
  readonly hasLoopDevices: boolean;
  readonly missingPrograms: readonly string[];
  /** Why Go cannot build anything; undefined if it can. */
  readonly goProblem: string | undefined;
}

/** Numbers of include/uapi/linux/capability.h. */
const capabilities = { CAP_NET_ADMIN: 12n, CAP_SYS_ADMIN: 21n, CAP_SYS_RESOURCE: 24n } as const;

/** Program by the Debian package that has it. */
const programs = {
  containerd: "containerd",
  ctr: "containerd",
  runc: "runc",
  debootstrap: "debootstrap",
  ip: "iproute2",
  mount: "mount",
  "mkfs.ext4": "e2fsprogs",
  unshare: "util-linux",
  nsenter: "util-linux",
} as const satisfies Record<string, string>;

const required = ["cpu", "cpuset", "memory", "pids"] as const;

/** Returns what this machine lacks for real nodes, as one sentence; undefined if it lacks nothing. */
export function findMissing(facts: MachineFacts): string | undefined {
  if (facts.platform !== "linux") return `Real nodes need Linux, and this is ${facts.platform}.`;
  if (!facts.isRoot) return "Real nodes need root: they create namespaces, mounts and cgroups.";
  const absent = (["CAP_SYS_ADMIN", "CAP_NET_ADMIN"] as const).filter((name) => !has(facts, name));
  if (absent.length > 0)
    return `Root lacks ${absent.join(" and ")} here. In a container, start it with \`--privileged\`.`;
  const cgroupProblem = findCgroupProblem(facts.cgroups);
  if (cgroupProblem !== undefined) return cgroupProblem;
  if (!/\boverlay$/m.test(facts.filesystems)) return "The kernel has no overlay file system: run `modprobe overlay`.";
  if (!facts.hasLoopDevices) return "There is no /dev/loop-control, which disks need: run `modprobe loop`.";
  if (facts.missingPrograms.length > 0) return formatInstall(facts.missingPrograms);
  return facts.goProblem;
}

/** Reports whether containers must not be protected from the OOM killer, which takes CAP_SYS_RESOURCE. */
export function lacksSysResource(facts: Pick<MachineFacts, "capabilities">): boolean {
  return !has(facts, "CAP_SYS_RESOURCE");
}

/** Disk space for the nodes of a run: two unpacked copies of each image, logs, and the control plane's store. */
const runBytes = 2 * 2 ** 30;

/** Returns why a disk is too full for the nodes of a run, as one sentence; undefined if it is not. */
export async function findFullDisk(folder: string): Promise<string | undefined> {
  const { bavail, blocks, bsize } = await statfs(folder);
  // A kubelet evicts pods once less than 1 % is free.
  const needed = Math.max(runBytes, 0.02 * blocks * bsize);
  if (bavail * bsize >= needed) return undefined;
  const [need, left] = [needed, bavail * bsize].map((bytes) => `${(bytes / 2 ** 30).toFixed(1)} GiB`);
  return `Real nodes need ${need} in ${folder}, whose disk has ${left} left: set TMPDIR to a folder of another disk.`;
}

export async function readFacts(env: NodeJS.ProcessEnv): Promise<MachineFacts> {
  const found = await Promise.all(Object.keys(programs).map((name) => isOnPath(env, name)));
  return {
    platform: process.platform,
    isRoot: process.geteuid?.() === 0,
    capabilities: await readCapabilities(),
    cgroups: await readCgroupFacts(),
    filesystems: await readFile("/proc/filesystems", "utf8").catch(() => ""),
    hasLoopDevices: await isThere("/dev/loop-control"),
    missingPrograms: Object.keys(programs).filter((_, at) => !found[at]),
    goProblem: await whyNotBuilt(env),
  };
}

async function readCapabilities(): Promise<bigint> {
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  return BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
}

function has(facts: Pick<MachineFacts, "capabilities">, name: keyof typeof capabilities): boolean {
  return ((facts.capabilities >> capabilities[name]) & 1n) === 1n;
}

function findCgroupProblem({ controllers, isReadOnly, isOfHost, holdsProcesses }: CgroupFacts): string | undefined {
  const lacking = required.filter((name) => !controllers.includes(name));
  if (lacking.length > 0) return `/sys/fs/cgroup offers no controller for ${lacking.join(", ")}: mount the cgroups.`;
  if (isReadOnly) return "/sys/fs/cgroup is read-only. In a container, start it with `--privileged`.";
  if (isOfHost) return "This container would leave cgroups on its host: start it with `--cgroupns=private`.";
  if (!holdsProcesses) return undefined;
  const move = "mkdir init && for pid in $(cat cgroup.procs); do echo $pid > init/cgroup.procs; done";
  return `This container's processes are in its root cgroup: move them with \`cd /sys/fs/cgroup && ${move}\`.`;
}

function formatInstall(missing: readonly string[]): string {
  const packages = new Set(missing.map((name) => (programs as Readonly<Record<string, string>>)[name] ?? name));
  const verb = missing.length === 1 ? "is" : "are";
  return `${missing.join(", ")} ${verb} not on the PATH: on Debian, \`apt-get install ${[...packages].join(" ")}\`.`;
}

export async function isOnPath({ PATH = "" }: NodeJS.ProcessEnv, name: string): Promise<boolean> {
  const found = PATH.split(delimiter).map((folder) => access(join(folder, name), constants.X_OK));
  return Promise.any(found).then(
    () => true,
    () => false,
  );
}
