import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { createCgroup } from "./cgroups.ts";

it.each([
  ["cpuset cpu io memory hugetlb pids rdma misc", "+cpu +cpuset +hugetlb +memory +pids"],
  ["cpuset cpu memory pids\n", "+cpu +cpuset +memory +pids"],
  ["memory cpuacct pids cpu-extra", "+memory +pids"],
])("of the controllers %j of cgroup v2, a run hands on only those of a kubelet", async (controllers, handedOn) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-cgroups-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "cgroup.controllers"), controllers);

  await createCgroup("run/one", folder);

  const written = ["", "run"].map((path) => readFile(join(folder, path, "cgroup.subtree_control"), "utf8"));
  expect(await Promise.all(written)).toEqual([handedOn, handedOn]);
  await expect(readFile(join(folder, "run/one/cgroup.subtree_control"))).rejects.toThrow("ENOENT");
});
