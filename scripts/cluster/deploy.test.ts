import { once } from "node:events";
import { createServer } from "node:net";
import type { Cluster } from "@aws-sdk/client-eks";
import { expect, it } from "vitest";
import { selfSigned } from "#kubernetes/fixtures/loopback-fixture.ts";
import { answerOfferings, startEc2 } from "../../stacks/plan/new-cluster/ec2-fixture.ts";
import { startEks } from "../../stacks/plan/new-cluster/eks-fixture.ts";
import { addSst, encodeCa, makeStageFolder, runIn, writeKubeconfig } from "./stage-fixture.ts";

const { cert: ca } = selfSigned();
const withoutGateway = { ACCESS: "none", EKS_CA: encodeCa(ca) };

/** Writes a kubeconfig of a server that is gone, and returns its words. */
async function leadNowhere(folder: string): Promise<string[]> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  const port = typeof address === "object" ? address?.port : undefined;
  return writeKubeconfig(folder, `https://127.0.0.1:${port}`, ca);
}

it("a stage whose cluster gives no answer is deployed, and the command says how to go on", async () => {
  const folder = await makeStageFolder(withoutGateway);
  await addSst(folder, 0);
  const nowhere = await leadNowhere(folder);

  const { code, stdout, stderr } = await runIn(folder, "deploy", [
    ...["--stage", "dev", "--yes", ...nowhere, "--verbose"],
  ]);

  // SST gets neither the options of the cluster nor their values.
  expect(stdout).toBe("sst deploy --stage dev --verbose\n");
  expect(code).toBe(3);
  expect(stderr).toContain("The API server gave no answer (GET /api/v1: ECONNREFUSED)");
  expect(stderr).toContain("through a tunnel with --kubeconfig: docs/deploy.md#a-private-endpoint\n");
  expect(stderr).toContain(`Go on with: npm run cluster:apply -- --stage dev ${nowhere.join(" ")}\n`);
});

it("a failed deployment ends with the code of SST, and no cluster is asked", async () => {
  const folder = await makeStageFolder(withoutGateway);
  await addSst(folder, 7);

  const answer = await runIn(folder, "deploy", ["--stage", "dev", ...(await leadNowhere(folder))]);

  expect(answer).toEqual({ code: 7, stdout: "sst deploy --stage dev\n", stderr: "" });
});

it("a stage without environments on Kubernetes changes no cluster", async () => {
  const folder = await makeStageFolder({ ...withoutGateway, COMPUTE: "process" });
  await addSst(folder, 0);

  const answer = await runIn(folder, "deploy", ["--stage", "dev", ...(await leadNowhere(folder))]);

  expect(answer).toMatchObject({ code: 0, stderr: "COMPUTE=process: no cluster was changed.\n" });
});

it("with --no-cluster a stage needs no file and no gateway's settings, and no cluster is asked", async () => {
  const folder = await makeStageFolder({ SSH_HOST_KEYS: `ssh-ed25519 ${"A".repeat(68)}` });
  await addSst(folder, 0);

  const withFile = await runIn(folder, "deploy", ["--stage", "dev", "--no-cluster", "--verbose"]);
  const without = await runIn(folder, "deploy", ["--no-cluster", "--stage", "pipeline"]);

  const stderr = "--no-cluster: no cluster was changed.\n";
  expect(withFile).toEqual({ code: 0, stdout: "sst deploy --stage dev --verbose\n", stderr });
  expect(without).toEqual({ code: 0, stdout: "sst deploy --stage pipeline\n", stderr });
});

it("what the gateway lacks is said before anything is made", async () => {
  const folder = await makeStageFolder({ SSH_HOST_KEYS: `ssh-ed25519 ${"A".repeat(68)}` });
  await addSst(folder, 0);

  const { code, stdout, stderr } = await runIn(folder, "deploy", ["--stage", "dev"]);

  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("  GATEWAY_IMAGE must be the image that npm run images builds: it is not set\n");
});

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
  return { ...(await startEc2({ ...answerOfferings(zones), ...more })), ...(await startEks(clusters)) };
}

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
      "Not checked: zones that offer the machine types: there are no AWS credentials.\n",
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

it.each([
  [[], 2, "Name the stage with --stage\n"],
  [["--stage", "other"], 1, "There is no stage other: no .env.other\n"],
])("with %j it ends with exit code %i, and nothing is made", async (words, code, saying) => {
  const folder = await makeStageFolder(withoutGateway);
  await addSst(folder, 0);

  const answer = await runIn(folder, "deploy", words);

  expect(answer).toMatchObject({ code, stdout: "" });
  expect(answer.stderr).toContain(saying);
});
