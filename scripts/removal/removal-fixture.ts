import { onTestFinished } from "vitest";
import { answerJson, refuse } from "#kubernetes/fixtures/loopback-fixture.ts";
import { startFakeService } from "#tests/aws/fake-service.ts";
import { startEc2 } from "../../stacks/plan/new-cluster/ec2-fixture.ts";
import { startEks } from "../../stacks/plan/new-cluster/eks-fixture.ts";
import { addSst, encodeCa, makeStageFolder, runIn, startTunnel, writeKubeconfig } from "../cluster/stage-fixture.ts";

const own = {
  ACCESS: "none",
  EKS_CLUSTER: "new",
  EKS_ZONES: "eu-west-1a,eu-west-1b",
  EKS_NODE_GROUPS: '[{"name":"h100","type":"p5.48xlarge","max":1,"zones":["eu-west-1a"]}]',
  EKS_PROTECT: "0",
};
export const ofStage = { "berth/deployment": "berth-dev" };
export const ofGroup = { "eks.amazonaws.com/nodegroup": "h100-eu-west-1a" };

/** What a cluster lists. It has nothing else. */
interface Objects {
  readonly [path: string]: readonly object[];
}

export const object = (name: string, labels: object = {}, more: object = {}) => ({
  metadata: { name, labels },
  ...more,
});
export const job = (name: string, labels: object) => object(name, { ...ofStage, ...labels });
export const inSystem = (name: string, labels: object = {}, type = "LoadBalancer") => ({
  metadata: { name, namespace: "berth-system", labels },
  spec: { type },
});
export const jobs = "/apis/batch/v1/namespaces/berth-environments/jobs";
export const daemonSets = "/apis/apps/v1/namespaces/berth-environments/daemonsets";
export const deployments = "/apis/apps/v1/namespaces/berth-system/deployments";
export const configMaps = "/api/v1/namespaces/berth-system/configmaps";

export interface World {
  readonly settings?: Readonly<Record<string, string>>;
  /** Undefined: the cluster is gone. */
  readonly objects?: Objects | undefined;
  readonly cluster?: object;
  /** Stages that have access entries, and the roles of these. */
  readonly entries?: readonly (readonly [stage: string, role: string])[];
  readonly ec2?: Readonly<Record<string, object>>;
  /** The record of the stage's pause. Undefined: there is no table. */
  readonly admission?: object | undefined;
  /** Other services, by the variables that name them. */
  readonly services?: Readonly<Record<string, string>>;
  readonly words?: readonly string[];
  readonly sst?: number;
}

/** Removes stage `dev` in this world, which by default has a cluster of the stage's own. */
export async function remove(world: World) {
  const { settings, objects, cluster, entries = [], ec2, services, words = ["--yes"], sst = 0 } = world;
  const tunnel = await startTunnel(({ url = "" }, response) => {
    const [path = ""] = url.split("?");
    if (objects?.[path] === undefined && path.includes("/ingresses")) return refuse(response, 404, "NotFound");
    return answerJson(response, { metadata: { resourceVersion: "1" }, items: objects?.[path] ?? [] });
  });
  const folder = await makeStageFolder({ ...own, EKS_CLUSTER: "new", ...settings });
  await addSst(folder, sst);
  const name = settings?.EKS_CLUSTER ?? "berth-dev";
  const tags = { "sst:app": "berth", "sst:stage": "dev" };
  const described = { name, status: "ACTIVE" as const, tags, certificateAuthority: { data: encodeCa(tunnel.ca) } };
  const clusters = objects ? [{ ...described, endpoint: tunnel.access.url, ...cluster }] : [];
  const admitted = entries.map(([stage, role]) => ({
    principalArn: `arn:aws:iam::111122223333:role/${role}-0a1b2c3`,
    tags: { ...tags, "sst:stage": stage },
  }));
  const eks = await startEks(clusters, [], admitted);
  const inNetwork = ["DescribeVpcs", "DescribeNetworkInterfaces", "DescribeSecurityGroups"];
  const kinds = ["DescribeVolumes", "DescribeSnapshots", ...inNetwork];
  const filters: string[] = [];
  const answer = (kind: string) => (parameters: URLSearchParams) => {
    filters.push(`${kind} ${[...parameters].filter(([key]) => /^(Filter|Owner)/.test(key)).map(([, value]) => value)}`);
    return ec2?.[kind] ?? {};
  };
  const aws = await startEc2(Object.fromEntries(kinds.map((kind) => [kind, answer(kind)])));
  const dynamo = await startTable("admission" in world ? world.admission : { paused: { BOOL: true } });
  const file = objects ? await writeKubeconfig(folder, tunnel.access.url, tunnel.ca) : [];
  const done = await runIn(folder, "../removal/remove", ["--stage", "dev", ...words, ...file], {
    ...eks,
    ...aws,
    ...dynamo,
    ...services,
  });
  return { ...done, filters };
}

/** Starts a DynamoDB with a table of this record alone, or without a table. Returns the environment of its clients. */
async function startTable(record: object | undefined) {
  const missing = { __type: "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException" };
  const dynamo = await startFakeService(
    "dynamodb",
    (code) => ({ status: 400, body: JSON.stringify({ __type: code }) }),
    () => ({ status: record ? 200 : 400, body: JSON.stringify(record ? { Item: record } : missing) }),
  );
  onTestFinished(dynamo.stop);
  return { AWS_ENDPOINT_URL_DYNAMODB: dynamo.endpoint };
}

/** Steps of the removal of each stage. */
export const nothing = ["environments on the cluster", "volumes and snapshots of disks"];
/** Further steps of a stage that makes its cluster. */
export const ofCluster = [
  "the stage's gateway, images to pull ahead and capabilities",
  "other stages on the cluster",
  "load balancers, volumes, machines and objects of others on the cluster",
  "load balancers, functions and security groups of others in the stage's network",
  "protection of the cluster",
];
export const printClear = (steps: readonly string[]) =>
  [
    "Stage dev is paused, so no job starts.",
    "What is left of stage dev, in the order of its removal:",
    ...steps.map((step) => `  Nothing left: ${step}.`),
    "",
  ].join("\n");
