import type { IncomingMessage } from "node:http";
import { dynamoClient, dynamoTable } from "#aws/dynamodb/table.ts";
import type { Item, Table } from "#core/ports/table.ts";
import { tableDirectory } from "#gateway/directory/table-directory.ts";
import { ingressAccess } from "#gateway/ingress/ingress-access.ts";
import { patient } from "../aws/patient.ts";
import { memoryIdentity } from "../fakes/memory-identity.ts";
import { memoryTable } from "../fakes/memory-table.ts";
import { recordingLog } from "../fixtures/log.ts";
import { developer, type HttpWorld, httpWorld } from "../worlds/http-world.ts";
import { newNodes } from "../worlds/memory-world.ts";
import type { AuditPlace } from "./audit-place.ts";
import type { AuditedRole } from "./audited-stage.ts";
import type { Failure, Failures } from "./take-away.ts";

const sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGfsCoS5UjAy7HiBBGNyDsGJMwkDBCcPVNGtvJnbjDTi";

/**
 * Finds an SSH login and a page in DynamoDB as the gateway does. Then repeats both without each action of its role.
 * Throws if one fails with all actions allowed.
 */
export async function gatewayFailures(
  place: AuditPlace,
  { name, actions }: Pick<AuditedRole, "name" | "actions">,
): Promise<Failures> {
  const { account, front } = place;
  const scene = await openScene();
  const tableName = place.nameDeployment();
  await place.makeTable(tableName, scene.items);
  await account.allow(name, actions);
  const address = { endpoint: front.url, region: account.region, credentials: await account.credentialsOf(name) };
  const client = dynamoClient(address, patient);
  try {
    const table = dynamoTable({ client, tableName });
    const failure = await findFailure(scene, table);
    if (failure) throw new Error(`${name}, ${failure.case}: ${failure.fails}`);
    const failures: Record<string, Failure | undefined> = {};
    for (const action of actions) {
      await account.allow(
        name,
        actions.filter((otherAction) => otherAction !== action),
      );
      failures[action] = await findFailure(scene, table);
    }
    return failures;
  } finally {
    client.destroy();
  }
}

interface Scene {
  readonly world: HttpWorld;
  readonly key: string;
  readonly items: readonly Item[];
  readonly login: string;
  readonly host: string;
}

/** Opens a memory world with an active job that a key enters, and a running session with a page. */
async function openScene(): Promise<Scene> {
  const table = memoryTable({ sharesItems: "frozen" });
  const settings = { sshGateway: { host: "ssh.berth.dev", port: 22 }, domain: "berth.dev" };
  const world = await httpWorld({ nodes: newNodes({ h100: 1, "cpu-shared": 1 }), settings, table });
  const key = await world.login(developer);
  const job = { image: "busybox", instance_type: "p5.48xlarge", ssh_public_keys: [sshKey] };
  await world.request("POST", "/v1/jobs/submit", { key, body: job });
  await world.request("POST", "/session/create", { key, body: { user_id: "user@example.com" } });
  await world.advance(60_000);
  const items = table.all();
  const login = findPartition(items, "ssh-login#");
  return { world, key, items, login, host: `${findPartition(items, "host#")}.berth.dev` };
}

function findPartition(items: readonly Item[], prefix: string): string {
  const found = items.find(({ pk }) => pk.startsWith(prefix));
  if (!found) throw new Error(`The world has no item of ${prefix}`);
  return found.pk.slice(prefix.length);
}

async function findFailure(scene: Scene, table: Table): Promise<Failure | undefined> {
  const login = await findLogin(scene, table);
  if (login !== undefined) return { case: "the keys of an SSH login", fails: login };
  const page = await findPage(scene, table);
  return page === undefined ? undefined : { case: "the page of an environment", fails: page };
}

async function findLogin({ world, login }: Scene, table: Table): Promise<string | undefined> {
  try {
    const [run] = await tableDirectory({ ...world.ctx, table }).find(login);
    return run?.keys.includes(sshKey) ? undefined : "admits no key";
  } catch {
    return "threw";
  }
}

async function findPage({ world, key, host }: Scene, table: Table): Promise<string | undefined> {
  const { clock, ids, settings } = world.ctx;
  const deployment = { version: "1.0.0", startedAt: 0, isolation: "pod", limits: "pod" };
  const ports = { ...world, table, sealer: world.ctx.sealer, identity: memoryIdentity({ callers: [] }) };
  const authorize = ingressAccess({ ports, clock, ids, settings, log: recordingLog(), deployment });
  const incoming = { headers: { host, authorization: `Bearer ${key}` }, url: "/" } as IncomingMessage;
  const answer = await authorize(incoming, { label: host.slice(0, -".berth.dev".length), host });
  return "place" in answer ? undefined : `answered ${answer.status}`;
}
