import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startSts } from "../../stacks/plan/account-fixture.ts";
import { encodeCa, makeStageFolder, runIn } from "../cluster/stage-fixture.ts";
import {
  inSystem,
  job,
  jobs,
  nothing,
  object,
  ofCluster,
  ofGroup,
  ofStage,
  printClear,
  remove,
  type World,
} from "./removal-fixture.ts";

it("a stage of which nothing is left is removed by SST, and the log of its cluster is named", async () => {
  const objects = {
    "/api/v1/nodes": [object("m", ofGroup)],
    "/api/v1/services": [inSystem("any", {}, "ClusterIP")],
    [jobs]: [object("ended", { ...ofStage, "berth/tombstone": "" })],
  };

  const { code, stdout, stderr, filters } = await remove({ objects, entries: [["dev", "ConsumerWork"]] });

  expect([code, stdout]).toEqual([0, `${printClear([...nothing, ...ofCluster])}sst remove --stage dev\n`]);
  expect(stderr).toContain(
    "aws logs delete-log-group --log-group-name /aws/eks/berth-dev/cluster --region eu-west-1\n",
  );
  expect(filters).toEqual([
    "DescribeVolumes tag:berth:deployment,berth-dev",
    "DescribeSnapshots self,tag:berth:deployment,berth-dev",
    "DescribeVpcs tag:sst:app,berth,tag:sst:stage,dev",
  ]);
});

it.each([
  ["a removal that stopped after the cluster goes on without it", { objects: undefined }],
  [
    "a stage whose control plane failed is removed",
    { objects: {}, cluster: { status: "FAILED", endpoint: undefined } },
  ],
] satisfies [string, World][])("%s", async (_, world) => {
  const { code, stdout } = await remove(world);

  expect([code, stdout]).toEqual([0, expect.stringContaining("sst remove --stage dev\n")]);
});

it.each([
  [
    "that is not paused says that a job may start, and is removed",
    { objects: {}, admission: { paused: { BOOL: false } } },
    "Stage dev is not paused, so a job may start until its removal: npx berth admin pause\n",
  ],
  [
    "that was never paused says so too",
    { objects: {}, admission: {} },
    "Stage dev is not paused, so a job may start until its removal: npx berth admin pause\n",
  ],
  [
    "that has no table says where it was looked for",
    { objects: undefined, admission: undefined },
    "There is no table berth-dev in eu-west-1: a removal has deleted it, the stage was never deployed, or AWS_REGION or your AWS identity is not the stage's.\n",
  ],
] satisfies [string, World, string][])("a stage %s", async (_, world, said) => {
  const { code, stdout } = await remove(world);

  expect([code, stdout.slice(0, said.length)]).toEqual([0, said]);
});

it("a stage is not removed while it is not known what is left of it, unless it is forced", async () => {
  const unreachable = { objects: {}, cluster: { certificateAuthority: { data: encodeCa("other") } } };

  const refused = await remove(unreachable);
  const forced = await remove({ ...unreachable, words: ["--yes", "--force"] });

  expect([refused.code, forced.code]).toEqual([1, 0]);
  expect(refused.stdout).toContain("\n  LEFT: environments on the cluster: not known: ");
  expect(refused.stdout).not.toContain("sst remove");
  expect(forced.stdout).toContain("sst remove --stage dev\n");
});

it("a stage of another account than the credentials is not removed, and no step is called done", async () => {
  const { code, stdout } = await remove({
    objects: undefined,
    settings: { DEPLOY_ACCOUNT: "444455556666" },
    services: await startSts("111122223333"),
  });

  const why = "not known: the AWS credentials are of account 111122223333, and the stage is deployed to 444455556666";
  expect(code).toBe(1);
  expect(stdout).toContain(
    "Whether stage dev is paused is not known: the AWS credentials are of account 111122223333, ",
  );
  for (const step of [...nothing, ...ofCluster]) expect(stdout).toContain(`\n  LEFT: ${step}: ${why}.\n`);
  expect(stdout).not.toContain("--kubeconfig");
  expect(stdout).not.toContain("sst remove");
});

const elsewhere = { EKS_CLUSTER: "gpus", EKS_ZONES: "", EKS_NODE_GROUPS: "", EKS_PROTECT: "" };

it("a stage that made a cluster is not removed while its settings name another one", async () => {
  const { code, stdout } = await remove({ settings: elsewhere, objects: {}, cluster: { name: "berth-dev" } });

  expect(code).toBe(1);
  expect(stdout).toContain(
    "\n  LEFT: the cluster that the stage made: berth-dev.\n    The settings name gpus, and the removal would delete this one " +
      "with all that is on it. Set EKS_CLUSTER=new again",
  );
  expect(stdout).not.toContain("sst remove");
});

it("a stage whose settings name another cluster waits until EKS has deleted the one that it made", async () => {
  const cluster = { name: "berth-dev", status: "DELETING" };

  const { code, stdout } = await remove({ settings: elsewhere, objects: {}, cluster });

  expect(code).toBe(1);
  expect(stdout).toContain(
    "It is DELETING. Run this again when this returns: aws eks wait cluster-deleted --name berth-dev\n",
  );
  expect(stdout).not.toContain("Set EKS_CLUSTER=new again");
});

it.each([
  [
    "whose tags are not the stage's, as Pulumi may delete it,",
    { tags: { "sst:app": "berth", "sst:stage": "prod" } },
    "stage dev did not make it, by its tags. Run npm run deploy:plan.\n    If this stage made it, restore the tags ",
  ],
  [
    "that EKS deletes",
    { status: "DELETING" },
    "it is DELETING.\n    Run this again when this returns: aws eks wait cluster-deleted --name berth-dev\n",
  ],
  [
    "that EKS creates",
    { status: "CREATING" },
    "it is CREATING.\n    Run this again when this returns: aws eks wait cluster-active --name berth-dev\n",
  ],
])("a stage with a cluster %s is only removed by force", async (_, cluster, said) => {
  const refused = await remove({ objects: {}, cluster });
  const forced = await remove({ objects: {}, cluster, words: ["--yes", "--force"] });

  expect([refused.code, forced.code]).toEqual([1, 0]);
  expect(refused.stdout).toContain(`\n  LEFT: environments on the cluster: not known: ${said}`);
  expect(refused.stdout).not.toContain("sst remove");
  expect(forced.stdout).toContain("sst remove --stage dev\n");
});

it("with --check nothing is removed, and the exit code says whether something is left", async () => {
  const clear = await remove({ objects: {}, words: ["--check"] });
  const left = await remove({ objects: { [jobs]: [job("a-r1", {})] }, words: ["--check"] });

  expect([clear.code, left.code]).toEqual([0, 1]);
  expect(clear.stdout).toBe(printClear([...nothing, ...ofCluster]));
  expect(left.stdout).not.toContain("sst remove");
});

it("nobody can be asked here, so without --yes nothing is removed", async () => {
  const { code, stdout, stderr } = await remove({ objects: {}, words: [] });

  expect([code, stderr]).toEqual([2, "Nothing was removed: add --yes, since nobody can be asked here\n"]);
  expect(stdout).not.toContain("sst remove");
});

it("a removal that SST refuses says how the protection of a failed first deployment ends", async () => {
  const { code, stderr } = await remove({ sst: 5 });

  expect([code, stderr]).toEqual([
    5,
    expect.stringContaining("A deployment ends the protection even if it fails: npm run deploy -- --stage dev."),
  ]);
});

it("a stage on a cluster of others only ends its own part, whatever else is there", async () => {
  const objects = { "/api/v1/services": [inSystem("shop")], "/api/v1/nodes": [object("any")] };

  const { code, stdout, stderr } = await remove({ settings: elsewhere, objects, sst: 5 });

  expect([code, stdout]).toEqual([5, `${printClear([...nothing, ...ofCluster.slice(0, 1)])}sst remove --stage dev\n`]);
  expect(stderr).toBe("");
});

it("production, and a stage without a name or settings, are refused", async () => {
  const folder = await makeStageFolder({});
  const run = (...words: string[]) => runIn(folder, "../removal/remove", words);

  expect(await run()).toMatchObject({ code: 2, stderr: expect.stringContaining("Name the stage with --stage\n") });
  expect(await run("--stage", "other")).toMatchObject({ code: 1, stderr: expect.stringContaining("no .env.other") });
  const lines = await readFile(join(folder, ".env.dev"), "utf8");
  await writeFile(join(folder, ".env.production"), `${lines}ACCESS=none\nALARM_EMAIL=a@b.test\n`);
  expect(await run("--stage", "production", "--yes", "--force")).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringContaining("production cannot be removed: "),
  });
});
