import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { cacheFolder } from "../cluster/binary.ts";
import { listCgroups } from "./cgroups.ts";
import { readReady, startStaged } from "./staged-machine-fixture.ts";

const script = new URL("../../scripts/test-nodes.ts", import.meta.url);
const oneNode = new URL("./killed-run-fixture.ts", import.meta.url);

/** Runs the rest of the staged script on a disk with these options of tmpfs(5). */
const withDisk = (options: string) => `mount -t tmpfs -o ${options} small /mnt\nexport TMPDIR=/mnt`;

const everyCgroupMount = `awk '$3 ~ /^cgroup/ { print $2 }' /proc/mounts`;

it.each([
  {
    machine: "a plain user",
    options: ["--user", "--map-user=1000"],
    stage: "",
    sentence: "Real nodes need root: they create namespaces, mounts and cgroups.",
  },
  {
    machine: "root of a container without privileges",
    options: ["--mount"],
    stage: 'set -- setpriv --bounding-set=-sys_admin,-net_admin "$@"',
    sentence: "Root lacks CAP_SYS_ADMIN and CAP_NET_ADMIN here. In a container, start it with `--privileged`.",
  },
  {
    machine: "a machine without cgroups",
    options: ["--mount"],
    stage: "umount --recursive --lazy /sys/fs/cgroup",
    sentence: "/sys/fs/cgroup offers no controller for cpu, cpuset, memory, pids: mount the cgroups.",
  },
  {
    machine: "a machine with cgroups that cannot be written to",
    options: ["--mount"],
    stage: `for folder in $(${everyCgroupMount}); do mount -o remount,bind,ro $folder; done`,
    sentence: "/sys/fs/cgroup is read-only. In a container, start it with `--privileged`.",
  },
])("$machine is told in one sentence why real nodes cannot run", async ({ options, stage, sentence }) => {
  const child = startStaged(options, stage, script, ["--requirements"]);
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);

  expect([output, code]).toEqual([`skipped: the tests on real nodes: ${sentence}\n`, 1]);
});

it.each([
  { program: script, name: "the tests" },
  { program: oneNode, name: "a cluster" },
])("$name on a full disk end with one sentence", async ({ program }) => {
  const child = startStaged(["--mount"], withDisk("size=64m"), program);

  await expect(readReady(child)).rejects.toThrow(
    /Error: Real nodes need 2\.0 GiB in \/mnt, whose disk has 0\.1 GiB left: set TMPDIR to a folder of another disk\./,
  );
});

/** Has a cache with the builds of this machine, but without unpacked images. */
const emptyCache = `mkdir /mnt/cache; ln -s "${cacheFolder(process.env)}"/* /mnt/cache
rm /mnt/cache/images; mkdir /mnt/cache/images; ln -s "${cacheFolder(process.env)}"/images/debian-*.tar /mnt/cache/images
export BERTH_CACHE=/mnt/cache`;

it("images that are unpacked on a disk without room end with the reason, and leave nothing", async () => {
  const stage = `${withDisk("size=4g,nr_inodes=1500")}\n${emptyCache}`;
  const child = startStaged(["--mount"], stage, oneNode);

  await expect(readReady(child)).rejects.toThrow(/Error: Cannot unpack \S+debian\S+: .*no space left on device/);
  expect((await listCgroups("berth-nodes-")).filter((name) => name.includes(`-${child.pid}-`))).toEqual([]);
});
