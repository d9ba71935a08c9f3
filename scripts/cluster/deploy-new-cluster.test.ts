import type { Cluster } from "@aws-sdk/client-eks";
import { expect, it } from "vitest";
import { answerOfferings, startEc2 } from "../../stacks/plan/new-cluster/ec2-fixture.ts";
import { startEks } from "../../stacks/plan/new-cluster/eks-fixture.ts";
import { startQuotas } from "../../stacks/plan/quota-fixture.ts";
import { addSst, makeStageFolder, runIn } from "./stage-fixture.ts";

const group = { name: "h100", type: "p5.48xlarge", max: 1, zones: ["eu-west-1a"] };
const newCluster = {
  ACCESS: "none",
  EKS_CLUSTER: "new",
  EKS_ZONES: "eu-west-1a,eu-west-1b",
  EKS_NODE_GROUPS: JSON.stringify([group]),
};
const offered = { "m7i.large": ["eu-west-1a", "eu-west-1b"], "p5.48xlarge": ["eu-west-1c"] };

async function startAws(
  clusters: readonly Cluster[] = [],
  more = {},
  zones: Readonly<Record<string, string[]>> = offered,
) {
  const quotas = await startQuotas({ values: { "lambda/L-B99A9384": 1_000 } });
  return { ...(await startEc2({ ...answerOfferings(zones), ...more })), ...(await startEks(clusters)), ...quotas };
}

it("with --no-cluster the account is checked all the same, also by settings of this shell", async () => {
  const folder = await makeStageFolder(newCluster);
  await addSst(folder, 0);
  const aws = await startAws();
  const shell = {
    AWS_REGION: "eu-west-1",
    DOMAIN: "berth.test",
    ALLOWED_ACCOUNTS: "111122223333",
    ALLOWED_ROLES: "Dev",
    LOGIN_SERVER_ID: "berth.test",
    ...newCluster,
  };

  const withFile = await runIn(folder, "deploy", ["--stage", "dev", "--no-cluster"], aws);
  const without = await runIn(folder, "deploy", ["--stage", "pipeline", "--no-cluster"], { ...aws, ...shell });

  for (const { code, stdout, stderr } of [withFile, without]) {
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("  group h100 in eu-west-1a (EKS_NODE_GROUPS): AWS has no p5.48xlarge in this zone. ");
  }
});

it("a zone without a machine type is refused before anything is made, if there are credentials", async () => {
  const folder = await makeStageFolder(newCluster);
  await addSst(folder, 7);

  const refused = await runIn(folder, "deploy", ["--stage", "dev"], await startAws());
  const unknown = await runIn(folder, "deploy", ["--stage", "dev"]);

  expect(refused).toEqual({
    code: 1,
    stdout: "",
    stderr:
      "The cluster cannot be made or upgraded, and nothing was changed:\n  group h100 in eu-west-1a (EKS_NODE_GROUPS): AWS has no " +
      "p5.48xlarge in this zone. It is in eu-west-1c\n",
  });
  expect(unknown).toEqual({
    code: 7,
    stdout: "sst deploy --stage dev\n",
    stderr:
      "Not checked: whether the name berth-dev is taken: there are no AWS credentials.\n" +
      "Not checked: zones that offer the machine types: there are no AWS credentials.\n" +
      "Not checked: quota Concurrent executions: there are no AWS credentials.\n",
  });
});

const getCluster = (app: string): Cluster => ({
  name: "berth-dev",
  status: "ACTIVE",
  version: "1.35",
  tags: { "sst:app": app, "sst:stage": "dev" },
});

it.each(["1", "0"])("a name that another stage's cluster has is refused, with EKS_PROTECT=%s", async (EKS_PROTECT) => {
  const folder = await makeStageFolder({ ...newCluster, EKS_PROTECT });
  await addSst(folder, 7);
  const aws = await startAws([getCluster("other")], {}, { ...offered, "p5.48xlarge": ["eu-west-1a"] });

  const { code, stdout, stderr } = await runIn(folder, "deploy", ["--stage", "dev"], aws);

  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain(
    "  cluster berth-dev: the name is taken: EKS has a cluster of this name, which stage dev of the app other made. ",
  );
});

it.each(["1", "0"])("a zone that the control plane keeps is refused, with EKS_PROTECT=%s", async (EKS_PROTECT) => {
  const folder = await makeStageFolder({ ...newCluster, EKS_PROTECT });
  await addSst(folder, 7);
  const kept = { subnetSet: [{ subnetId: "subnet-1", availabilityZone: "eu-west-1c" }] };
  const cluster = { ...getCluster("berth"), resourcesVpcConfig: { vpcId: "vpc-1", subnetIds: ["subnet-1"] } };
  const aws = await startAws([cluster], { DescribeSubnets: () => kept }, { ...offered, "p5.48xlarge": ["eu-west-1a"] });

  const { code, stdout, stderr } = await runIn(folder, "deploy", ["--stage", "dev"], aws);

  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("  zone eu-west-1c (EKS_ZONES): the control plane of berth-dev was made in it, ");
});

it.each(["apply", "check"] as const)("cluster:%s refuses a cluster that is being deleted", async (script) => {
  const folder = await makeStageFolder(newCluster);
  const cluster = { ...getCluster("berth"), status: "DELETING" as const };

  const { code, stdout, stderr } = await runIn(folder, script, ["--stage", "dev"], await startAws([cluster]));

  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("EKS cluster berth-dev cannot be opened: it is DELETING\n");
});

it.each(["apply", "check"] as const)("cluster:%s refuses a cluster that another stage made", async (script) => {
  const folder = await makeStageFolder(newCluster);

  const { code, stdout, stderr } = await runIn(
    folder,
    script,
    ["--stage", "dev"],
    await startAws([getCluster("other")]),
  );

  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("EKS cluster berth-dev cannot be opened: stage dev did not make it, by its tags. ");
});

/** Deploys a stage whose group names a reservation that is over. */
async function deployExpired(clusters: readonly Cluster[]) {
  const reserved = { ...group, zones: ["eu-west-1b"], reservation: "cr-0123456789abcdef0" };
  const folder = await makeStageFolder({ ...newCluster, EKS_NODE_GROUPS: JSON.stringify([reserved]) });
  await addSst(folder, 7);
  const over = { capacityReservationId: reserved.reservation, instanceType: "p5.48xlarge", state: "expired" };
  const more = { DescribeCapacityReservations: () => ({ capacityReservationSet: [over] }) };
  const aws = await startAws(clusters, more, { ...offered, "p5.48xlarge": ["eu-west-1b"] });
  return runIn(folder, "deploy", ["--stage", "dev"], aws);
}

it("a reservation that is over only causes a warning once the stage has its cluster", async () => {
  const { code, stdout, stderr } = await deployExpired([getCluster("berth")]);

  expect([code, stdout]).toEqual([7, "sst deploy --stage dev\n"]);
  expect(stderr).toContain(
    "Warning: cr-0123456789abcdef0 of group h100 (EKS_NODE_GROUPS): it is over: its state is expired. ",
  );
});

it("a reservation that is over is refused before anything is made", async () => {
  const { code, stdout, stderr } = await deployExpired([]);

  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toBe(
    "The cluster cannot be made or upgraded, and nothing was changed:\n  cr-0123456789abcdef0 of group h100 (EKS_NODE_GROUPS): it is over: " +
      "its state is expired. Name another one, or remove the group: docs/own-cluster.md#change-upgrade-remove\n",
  );
});

it("a stage that ends the protection of a failed deployment keeps its old zones, and is told of them", async () => {
  const folder = await makeStageFolder({ ...newCluster, EKS_PROTECT: "0" });
  await addSst(folder, 7);

  const answer = await runIn(folder, "deploy", ["--stage", "dev"], await startAws());

  expect(answer).toEqual({
    code: 7,
    stdout: "sst deploy --stage dev\n",
    stderr:
      "EKS_PROTECT=0: the deployment goes on, although the cluster cannot be made as a whole:\n  group h100 in eu-west-1a " +
      "(EKS_NODE_GROUPS): AWS has no p5.48xlarge in this zone. It is in eu-west-1c\n",
  });
});
