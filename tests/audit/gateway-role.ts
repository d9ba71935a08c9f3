import { dynamoClient, dynamoTable } from "#aws/dynamodb/table.ts";
import type { Key, Table } from "#core/ports/table.ts";
import { patient } from "../aws/patient.ts";
import type { AuditPlace } from "./audit-place.ts";
import type { AuditedRole } from "./audited-stage.ts";
import { findFailure, openGatewayScene } from "./gateway-scene.ts";
import type { Failure, Failures } from "./take-away.ts";

/**
 * Enters environments over DynamoDB as the gateway does. Then repeats it without each action of its role. Throws if it
 * fails with all actions allowed.
 */
export async function gatewayFailures(
  place: AuditPlace,
  { name, actions }: Pick<AuditedRole, "name" | "actions">,
): Promise<Failures> {
  const { account, front } = place;
  const scene = await openGatewayScene();
  const tableName = place.nameDeployment();
  const api = await place.makeTable(tableName, scene.items);
  await account.allow(name, actions);
  const address = { endpoint: front.url, region: account.region, credentials: await account.credentialsOf(name) };
  const client = dynamoClient(address, patient);
  try {
    const tables = { table: dynamoTable({ client, tableName }), api };
    const failure = await findFailure(scene, tables);
    if (failure) throw new Error(`${name}, ${failure.case}: ${failure.fails}`);
    const failures: Record<string, Failure | undefined> = {};
    for (const action of actions) {
      await account.allow(
        name,
        actions.filter((otherAction) => otherAction !== action),
      );
      failures[action] = await findFailure(scene, tables);
    }
    return failures;
  } finally {
    client.destroy();
  }
}

/** An action on partitions with this prefix: `dynamodb:GetItem host#`. */
type Right = `${string} ${string}`;

/**
 * Returns the rights of the gateway's role without which nothing fails. Throws if something fails with all of them.
 * moto ignores `dynamodb:LeadingKeys`, so a table in memory checks the partitions.
 */
export async function needlessRights({ statements }: Pick<AuditedRole, "statements">): Promise<Right[]> {
  const rights = statements.flatMap(({ Action, Condition }) => {
    const keys = [Condition?.["ForAllValues:StringLike"]?.["dynamodb:LeadingKeys"] ?? []].flat();
    return Action.flatMap((action) => keys.map((key): Right => `${action} ${key.replace(/\*$/, "")}`));
  });
  const scene = await openGatewayScene();
  const { table: api } = scene.world;
  const failure = await findFailure(scene, { table: limitedTable(api, rights), api });
  if (failure) throw new Error(`${failure.case}: ${failure.fails}`);
  const needless: Right[] = [];
  for (const right of rights) {
    const others = rights.filter((otherRight) => otherRight !== right);
    if (!(await findFailure(scene, { table: limitedTable(api, others), api }))) needless.push(right);
  }
  return needless;
}

function limitedTable(table: Table, rights: readonly Right[]): Table {
  const check = (action: string, ...keys: readonly Pick<Key, "pk">[]) => {
    const isAllowed = ({ pk }: Pick<Key, "pk">) => rights.some((right) => `dynamodb:${action} ${pk}`.startsWith(right));
    if (!keys.every(isAllowed)) throw new Error(`${action} is not allowed`);
  };
  const refuse = () => Promise.reject(new Error("The gateway may not do this"));
  return {
    async get(key) {
      check("GetItem", key);
      return table.get(key);
    },
    async getMany(keys) {
      check("BatchGetItem", ...keys);
      return table.getMany(keys);
    },
    async put(item, condition) {
      check("PutItem", item);
      await table.put(item, condition);
    },
    async query(query) {
      if ("index" in query) return refuse();
      check("Query", query);
      return table.query(query);
    },
    putAll: refuse,
    remove: refuse,
    count: refuse,
  };
}
