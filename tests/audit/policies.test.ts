import { afterAll, beforeAll, describe, expect, test } from "vitest";
import functionsFile from "../../functions.json" with { type: "json" };
import type { FunctionsFile } from "../../stacks/compute/functions-file.ts";
import { MOTO_MISSING } from "../aws/moto.ts";
import { rolePolicies } from "../synthesis/policies.ts";
import type { Resource } from "../synthesis/synthesize.ts";
import { openAuditPlace } from "./audit-place.ts";
import { type AuditedRole, auditedRoles, synthesizeAudited } from "./audited-stage.ts";
import { needlessRights } from "./gateway-role.ts";
import { keptActions } from "./kept-actions.ts";
import { auditRole, readPolicyTable } from "./policy-table.ts";
import { tooWide } from "./resource-scopes.ts";

const functions = functionsFile as FunctionsFile;
const table = readPolicyTable();
/** The tests take a minute on an idle machine, and longer for each role whose policy changed. */
const LONG_MS = 1_200_000;
const place = await openAuditPlace();
let resources: readonly Resource[];
let roles: readonly AuditedRole[];

beforeAll(async () => {
  resources = await synthesizeAudited();
  roles = auditedRoles(resources);
}, LONG_MS);

afterAll(() => place?.stop());

function roleNamed(name: string): AuditedRole {
  const found = roles.find((role) => role.name === name);
  if (!found) throw new Error(`There is no role ${name}`);
  return found;
}

test("the table states for each action of each role what fails without it, or why it is kept", () => {
  const actionsByKey = Object.entries(table).map(([name, { actions }]) => [name, Object.keys(actions)]);

  expect(Object.fromEntries(actionsByKey)).toEqual(
    Object.fromEntries(roles.map(({ name, actions }) => [name, actions])),
  );
});

test("each reason to keep an action is listed in the table", () => {
  const kept = Object.values(table).flatMap(({ actions }) =>
    Object.values(actions).flatMap((row) => ("kept" in row ? row.kept : [])),
  );

  expect(keptActions.map(({ reason }) => reason).filter((reason) => !kept.includes(reason))).toEqual([]);
});

test("each action is allowed only on its own resources", () => {
  const wide = roles.flatMap(({ name, statements }) => statements.flatMap(tooWide).map((line) => `${name}: ${line}`));

  expect(wide).toEqual([]);
});

test.each([
  ["a queue of all", "sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:*"],
  ["another stage's table", "dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:123456789012:table/berth-production"],
  ["every bucket", "s3:GetObject", "*"],
  ["an action that no role has", "dynamodb:Scan", "arn:aws:dynamodb:us-east-1:123456789012:table/berth-audit"],
])("the audit finds %s", (_, action, resource) => {
  expect(tooWide({ Effect: "Allow", Action: [action], Resource: [resource] })).toEqual([`${action} on ${resource}`]);
});

test("the audit finds a key that seals for any context", () => {
  const [statement] = roleNamed("ConsumerWebhooks").statements.filter(({ Sid }) => Sid === "Seal");
  if (!statement) throw new Error("There is no statement Seal");
  const { Condition: _, ...free } = statement;

  expect(tooWide(statement)).toEqual([]);
  expect(tooWide(free)).toEqual(["kms:GenerateDataKey for anything", "kms:Decrypt for anything"]);
});

test("the gateway needs each partition of its role, and no other", async () => {
  expect(await needlessRights(roleNamed("Gateway"))).toEqual([]);
});

test("the audit finds a partition that the gateway does not need, and one that it lacks", async () => {
  const changed = (from: string, to: string) =>
    needlessRights(JSON.parse(JSON.stringify(roleNamed("Gateway")).replace(from, to)));

  expect(await changed('["ticket#*"]', '["ticket#*","key#*"]')).toEqual(["dynamodb:PutItem key#"]);
  await expect(changed('"ticket#*"', '"tickets#*"')).rejects.toThrow("a web terminal: closed with 4503");
});

describe("against moto, with IAM on", () => {
  if (!place) {
    test("needs moto", ({ skip }) => skip(MOTO_MISSING));
    return;
  }

  test("IAM accepts each policy", async () => {
    const policies = rolePolicies(resources);
    const refused = await Promise.all(
      policies.map(async ({ of, document }) => [of, await place.account.refusalOfPolicy(document)]),
    );

    expect(refused).toEqual(policies.map(({ of }) => [of, undefined]));
  });

  test.each([
    ["an operator that there is not", '"StringEquals"', '"StringEqual"'],
    ["a resource that is not an ARN", '"arn:aws:kms:', '"aws:kms:'],
    ["an effect of another name", '"Allow"', '"Permit"'],
    ["an action without its service", '"kms:Decrypt"', '"Decrypt"'],
  ])("IAM refuses %s", async (_, from, to) => {
    const { document = "" } = rolePolicies(resources).find(({ of }) => of === "ConsumerWebhooks") ?? {};

    expect(document.replace(from, to)).not.toBe(document);
    expect(await place.account.refusalOfPolicy(document.replace(from, to))).toBeDefined();
  });

  test(
    "each action of a role whose policy changed since its audit is needed",
    async () => {
      const changed = roles.filter(({ name, digest }) => table[name]?.policy !== digest);
      const needless: string[] = [];
      for (const role of changed) {
        const audited = await auditRole(place, role, functions);
        needless.push(...audited.needless.map((action) => `${role.name}: ${action}`));
      }

      expect(needless).toEqual([]);
    },
    LONG_MS,
  );

  test("the audit finds a superfluous action", { timeout: LONG_MS }, async () => {
    const role = roleNamed("ScheduleQueueTable");
    const actions = [...role.actions, "dynamodb:Scan"];

    expect((await auditRole(place, { ...role, actions }, functions)).needless).toEqual(["dynamodb:Scan"]);
  });

  test("the audit finds an action that the gateway does not need, and one that it lacks", async () => {
    const role = roleNamed("Gateway");
    const more = { ...role, actions: [...role.actions, "dynamodb:DeleteItem"] };
    const without = (action: string) => ({ ...role, actions: role.actions.filter((one) => one !== action) });

    expect((await auditRole(place, more, functions)).needless).toEqual(["dynamodb:DeleteItem"]);
    const [noQuery, noPut] = [without("dynamodb:Query"), without("dynamodb:PutItem")];
    await expect(auditRole(place, noQuery, functions)).rejects.toThrow("the keys of an SSH login: threw");
    await expect(auditRole(place, noPut, functions)).rejects.toThrow("a web terminal: closed with 4503");
  });

  test("the audit finds a missing queue", { timeout: LONG_MS }, async () => {
    const role = roleNamed("EndpointIdentityQueueTable");
    const statements: AuditedRole["statements"] = JSON.parse(
      JSON.stringify(role.statements).replaceAll("WorkQueue-", "PoolsQueue-"),
    );

    await expect(auditRole(place, { ...role, statements }, functions)).rejects.toThrow("send failed");
  });

  test("the audit finds a query of an index that the role may not make", { timeout: LONG_MS }, async () => {
    const role = roleNamed("ConsumerPools");
    const statements = role.statements.filter(({ Sid }) => Sid !== "TableIndexes");

    await expect(auditRole(place, { ...role, statements }, functions)).rejects.toThrow("answered");
  });

  test("the audit finds a missing action, even one whose refusal no answer shows", { timeout: LONG_MS }, async () => {
    const role = roleNamed("EndpointIdentityQueueTable");
    const without = (action: string) => ({
      ...role,
      actions: role.actions.filter((otherAction) => otherAction !== action),
    });
    const sender = roleNamed("ConsumerPools");
    const silent = { ...sender, actions: sender.actions.filter((action) => action !== "sqs:SendMessage") };

    await expect(auditRole(place, without("dynamodb:PutItem"), functions)).rejects.toThrow("answered");
    await expect(auditRole(place, silent, functions)).rejects.toThrow("send failed");
  });
});
