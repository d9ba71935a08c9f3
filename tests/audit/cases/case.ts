import {
  AttachVolumeCommand,
  DescribeImagesCommand,
  type EC2Client,
  RunInstancesCommand,
  StopInstancesCommand,
} from "@aws-sdk/client-ec2";
import { ebsVolumes } from "#aws/ec2/ebs-volumes.ts";
import { ec2Clients } from "#aws/ec2/ec2-client.ts";
import type { Item, Table } from "#core/ports/table.ts";
import type { FunctionEntry } from "../../../stacks/compute/functions-file.ts";
import { patient } from "../../aws/patient.ts";
import type { AuditPlace } from "../audit-place.ts";
import { type Call, type Called, callFunction } from "../function-process.ts";
import type { ShownRun } from "../kube-server.ts";

/**
 * Events for one function, and a check of its answers. The check passes if the role allows every call that the function
 * needs.
 */
export interface Case {
  readonly name: string;
  readonly entry: FunctionEntry;
  /** Returns the state before the first event. It is created once and stored again for each run. */
  arrange(): Promise<Scene>;
  /** Returns the faults of the answers and of the stored state. */
  problems(answers: readonly Called[], left: Left): Promise<readonly string[]> | readonly string[];
  /** Log events that are expected as errors or warnings. */
  readonly mayLog?: readonly string[];
}

export interface Scene {
  readonly items: readonly Item[];
  readonly calls: readonly Call[];
  readonly runs?: readonly ShownRun[];
  /** Whether pods become ready and get an address. The default is true. */
  readonly podsAreServed?: boolean;
  /** Ids of volumes in the items. Each volume is created in EC2, and EC2's id replaces its id in the items. */
  readonly volumes?: readonly string[];
  readonly snapshots?: readonly string[];
  /** Blobs by name. Names and contents may hold ids of volumes. */
  readonly blobs?: Readonly<Record<string, string>>;
  /** Nodes of the cluster. Machines without one of these nodes do not answer. */
  readonly nodes?: readonly SceneNode[];
}

interface SceneNode {
  readonly name: string;
  readonly providerId: string;
  readonly isReady: boolean;
}

/** Suffix of a node's `providerId` that stands for a stopped machine to which the volumes are still attached. */
export const LOST_MACHINE = "i-lost";

export interface Left {
  readonly table: Table;
  readonly scene: Scene;
}

export interface Ran {
  readonly problems: readonly string[];
  /** Actions that the function took or tried to take. */
  readonly actions: readonly string[];
}

/**
 * Runs a case under the role's present actions. Faults are wrong answers, a wrong stored state, and errors or warnings
 * in the log. Only the log shows faults of background calls.
 */
export async function runCase(place: AuditPlace, role: string, entry: Case, arranged: Scene): Promise<Ran> {
  const { account, front, kube } = place;
  const deployment = place.nameDeployment();
  const scene = await withDisks(place, deployment, arranged);
  const table = await place.makeTable(deployment, scene.items);
  kube.clear(scene.calls[0]?.now ?? 0, scene.podsAreServed);
  for (const run of scene.runs ?? []) kube.showRun(run);
  for (const node of scene.nodes ?? []) kube.addNode(shownNode(node));
  for (const [name, text] of Object.entries(scene.blobs ?? {})) await place.blobs.put(name, Buffer.from(text));
  const { accessKeyId, secretAccessKey, sessionToken } = await account.credentialsOf(role);
  const environment = {
    ...place.settings,
    TABLE_NAME: deployment,
    AWS_LAMBDA_FUNCTION_NAME: entry.entry.name,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
    PATH: "/var/lang/bin",
  };
  front.takeActions();
  const answers = await callFunction(entry.entry.name, environment, scene.calls);
  const actions = front.takeActions();
  const bad = answers
    .flatMap(({ lines }) => lines)
    .filter(({ level, event }) => (level === "error" || level === "warn") && !entry.mayLog?.includes(event));
  return {
    actions,
    problems: [
      ...answers.flatMap(({ error }) => (error === undefined ? [] : [`threw ${error}`])),
      ...(await entry.problems(answers, { table, scene })),
      ...bad.map(({ level, event, text }) => `${level} "${event}": ${text.slice(0, 600)}`),
    ],
  };
}

async function withDisks({ account }: AuditPlace, deployment: string, scene: Scene): Promise<Scene> {
  const { volumes: wanted = [], snapshots = [] } = scene;
  if (wanted.length === 0) return scene;
  const { endpoint, region, operator } = account;
  const clients = ec2Clients({ endpoint, region, credentials: operator }, patient);
  const ebs = ebsVolumes({ ...clients, deployment });
  const ids = new Map<string, string>();
  const volume = { sizeGb: 10, zone: `${region}a`, snapshotId: undefined };
  for (const id of wanted) ids.set(id, (await ebs.createVolume({ ...volume, token: `${deployment}-${id}` })).id);
  const [first = ""] = ids.values();
  const tags = { name: "data", disk: "d".repeat(32), attempt: "a-r1-1" };
  for (const id of snapshots) ids.set(id, (await ebs.createSnapshot(first, tags)).id);
  if (scene.nodes?.some(({ providerId }) => providerId.endsWith(LOST_MACHINE))) {
    ids.set(LOST_MACHINE, await stoppedMachine(clients.client, volume.zone, [...ids.values()]));
  }
  for (const client of [clients.client, clients.once]) client.destroy();
  const renamed = [...ids].reduce((text, [from, to]) => text.replaceAll(from, to), JSON.stringify(scene));
  return JSON.parse(renamed) as Scene;
}

/**
 * Starts a machine, attaches the volumes and stops it. EC2 keeps volumes of a stopped machine attached (EC2 User
 * Guide).
 */
async function stoppedMachine(client: EC2Client, zone: string, volumes: readonly string[]): Promise<string> {
  const { Images = [] } = await client.send(new DescribeImagesCommand({ Owners: ["amazon"] }));
  const { Instances = [] } = await client.send(
    new RunInstancesCommand({
      ImageId: Images[0]?.ImageId,
      InstanceType: "m5.large",
      MinCount: 1,
      MaxCount: 1,
      Placement: { AvailabilityZone: zone },
    }),
  );
  const InstanceId = Instances[0]?.InstanceId ?? "";
  for (const [at, VolumeId] of volumes.entries()) {
    await client.send(new AttachVolumeCommand({ VolumeId, InstanceId, Device: `/dev/sd${"fghijk"[at]}` }));
  }
  await client.send(new StopInstancesCommand({ InstanceIds: [InstanceId] }));
  return InstanceId;
}

function shownNode({ name, providerId, isReady }: SceneNode) {
  const conditions = [{ type: "Ready", status: isReady ? "True" : "Unknown" }];
  return { kind: "Node", metadata: { name }, spec: { providerID: providerId }, status: { conditions } };
}
