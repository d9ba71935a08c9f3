import { ebsVolumes } from "#aws/ebs-volumes.ts";
import { ec2Clients } from "#aws/ec2-client.ts";
import { patient } from "#aws/test-servers/patient.ts";
import type { Item, Table } from "#core/ports/table.ts";
import type { FunctionEntry } from "../functions-file.ts";
import type { AuditPlace } from "./audit-place.ts";
import { type Call, type Called, callFunction } from "./function-process.ts";
import type { ShownRun } from "./kube-server.ts";

/** Events for one function, and how to tell that it dealt with them: it does if its role allows all it needs. */
export interface Case {
  readonly name: string;
  readonly entry: FunctionEntry;
  /** What is there before the first event: made once, and put into the stores for each run. */
  arrange(): Promise<Scene>;
  /** What is wrong with the answers, or with what the function left; nothing: it is as it should be. */
  problems(answers: readonly Called[], left: Left): Promise<readonly string[]> | readonly string[];
  /** Errors and warnings of the log that are as they should be, by their events. */
  readonly mayLog?: readonly string[];
}

export interface Scene {
  readonly items: readonly Item[];
  readonly calls: readonly Call[];
  /** Of the cluster. */
  readonly runs?: readonly ShownRun[];
  /** Ids of volumes in the items: each is made in EC2 first, and its id in the items becomes EC2's. */
  readonly volumes?: readonly string[];
  readonly snapshots?: readonly string[];
}

export interface Left {
  readonly table: Table;
  readonly scene: Scene;
}

/** A case that was run. */
export interface Ran {
  readonly problems: readonly string[];
  /** The actions that the function took or tried to take. */
  readonly actions: readonly string[];
}

/**
 * Runs a case under the actions that its function's role has now. What is wrong is in the answers, in what they left,
 * or in the log, as an error or a warning: a call that nobody waits for shows nowhere else.
 */
export async function runCase(place: AuditPlace, role: string, one: Case, arranged: Scene): Promise<Ran> {
  const { account, front, kube } = place;
  const deployment = place.nameDeployment();
  const scene = await withDisks(place, deployment, arranged);
  const table = await place.makeTable(deployment, scene.items);
  kube.clear(scene.calls[0]?.now ?? 0);
  for (const run of scene.runs ?? []) kube.showRun(run);
  const { accessKeyId, secretAccessKey, sessionToken } = await account.credentialsOf(role);
  const environment = {
    ...place.settings,
    TABLE_NAME: deployment,
    AWS_LAMBDA_FUNCTION_NAME: one.entry.name,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
    PATH: "/var/lang/bin",
  };
  front.takeActions();
  const answers = await callFunction(one.entry.name, environment, scene.calls);
  const actions = front.takeActions();
  const bad = answers
    .flatMap(({ lines }) => lines)
    .filter(({ level, event }) => (level === "error" || level === "warn") && !one.mayLog?.includes(event));
  return {
    actions,
    problems: [
      ...answers.flatMap(({ error }) => (error === undefined ? [] : [`threw ${error}`])),
      ...(await one.problems(answers, { table, scene })),
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
  for (const client of [clients.client, clients.once]) client.destroy();
  const renamed = [...ids].reduce((text, [from, to]) => text.replaceAll(from, to), JSON.stringify(scene));
  return JSON.parse(renamed) as Scene;
}
