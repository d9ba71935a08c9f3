import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { findMissing, lacksSysResource, type MachineFacts, readFacts } from "./requirements.ts";

const capable: MachineFacts = {
  platform: "linux",
  isRoot: true,
  capabilities: 0x1ff_ffff_ffffn,
  cgroups: {
    controllers: ["cpu", "cpuset", "io", "memory", "pids"],
    isReadOnly: false,
    isOfHost: false,
    holdsProcesses: false,
  },
  filesystems: "nodev\tproc\n\text4\nnodev\toverlay\n",
  hasLoopDevices: true,
  missingPrograms: [],
  goProblem: undefined,
};

it("a machine with everything lacks nothing", () => {
  expect(findMissing(capable)).toBeUndefined();
  expect(lacksSysResource(capable)).toBe(false);
});

it.each<[string, Partial<MachineFacts>, string]>([
  ["another system", { platform: "darwin" }, "Real nodes need Linux, and this is darwin."],
  ["a plain user", { isRoot: false }, "Real nodes need root: they create namespaces, mounts and cgroups."],
  [
    "a container without privileges",
    { capabilities: 0xa804_25fbn },
    "Root lacks CAP_SYS_ADMIN and CAP_NET_ADMIN here. In a container, start it with `--privileged`.",
  ],
  [
    "no cgroups",
    { cgroups: { ...capable.cgroups, controllers: [] } },
    "/sys/fs/cgroup offers no controller for cpu, cpuset, memory, pids: mount the cgroups.",
  ],
  [
    "cgroups that cannot be written to",
    { cgroups: { ...capable.cgroups, isReadOnly: true } },
    "/sys/fs/cgroup is read-only. In a container, start it with `--privileged`.",
  ],
  [
    "the cgroups of a host",
    { cgroups: { ...capable.cgroups, isOfHost: true } },
    "This container would leave cgroups on its host: start it with `--cgroupns=private`.",
  ],
  [
    "processes in the root cgroup of a container",
    { cgroups: { ...capable.cgroups, holdsProcesses: true } },
    "This container's processes are in its root cgroup: move them with `cd /sys/fs/cgroup && mkdir init && for pid in $(cat cgroup.procs); do echo $pid > init/cgroup.procs; done`.",
  ],
  [
    "a kernel without overlayfs",
    { filesystems: "\text4\nnodev\toverlayfoo\n" },
    "The kernel has no overlay file system: run `modprobe overlay`.",
  ],
  [
    "no loop devices",
    { hasLoopDevices: false },
    "There is no /dev/loop-control, which disks need: run `modprobe loop`.",
  ],
  [
    "missing programs",
    { missingPrograms: ["containerd", "ctr", "ip"] },
    "containerd, ctr, ip are not on the PATH: on Debian, `apt-get install containerd iproute2`.",
  ],
  ["one missing program", { missingPrograms: ["runc"] }, "runc is not on the PATH: on Debian, `apt-get install runc`."],
  ["no Go", { goProblem: "Go is not on the PATH (https://go.dev/dl)" }, "Go is not on the PATH (https://go.dev/dl)"],
])("a machine with %s is told so in one sentence", (_, change, sentence) => {
  expect(findMissing({ ...capable, ...change })).toBe(sentence);
});

it("root without CAP_SYS_RESOURCE lacks nothing, but cannot protect containers from the OOM killer", () => {
  const facts = { ...capable, capabilities: capable.capabilities & ~(1n << 24n) };

  expect(findMissing(facts)).toBeUndefined();
  expect(lacksSysResource(facts)).toBe(true);
});

it("programs are looked for on the PATH only", async () => {
  const folder = await mkdtemp(join(tmpdir(), "berth-requirements-"));
  onTestFinished(() => rm(folder, { recursive: true }));

  const { missingPrograms, goProblem } = await readFacts({ PATH: folder });

  const names = ["containerd", "ctr", "runc", "debootstrap", "ip", "mount", "mkfs.ext4", "unshare", "nsenter"];
  expect(missingPrograms).toEqual(names);
  expect(goProblem).toBe("Go is not on the PATH (https://go.dev/dl)");
});
