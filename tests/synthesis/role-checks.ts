import { readFileSync } from "node:fs";
import { tableDefinition } from "#aws/dynamodb/table-definition.ts";
import { capitalize, type FunctionEntry, type PortName } from "../../stacks/compute/functions-file.ts";
import { onlyRunsCommands } from "../../stacks/compute/roles.ts";
import { type Check, different, differentInOrder, findEntry, ofType } from "./checks.ts";
import { ACCOUNT, REGION } from "./cloud.ts";
import type { Resource } from "./synthesize.ts";

export const roleChecks = {
  rolesOfFunctions(resources, functions) {
    return ofType(resources, "aws:lambda/function:Function").flatMap((resource) => {
      const entry = findEntry(resource, functions);
      if (!entry) return [`${resource.name} is in no list`];
      const statements = allowedTo(resource, resources);
      const actions = statements.flatMap(({ Action }) => Action);
      const received = statements.find(({ Action }) => Action.includes("sqs:ReceiveMessage"))?.Resource ?? [];
      return [
        ...different(`what ${resource.name} reaches`, [...new Set(actions.map(findService))], servicesFor(entry)),
        ...different(
          `what ${resource.name} receives from`,
          received.map((arn) => /([A-Za-z]+)Queue-/.exec(arn)?.[1]?.toLowerCase()),
          queuesReceivedFrom(entry),
        ),
      ];
    });
  },

  /** Each role may use exactly the queues, table and indexes that its functions use. */
  scopes(resources, functions) {
    const made = ofType(resources, "aws:lambda/function:Function");
    const queriers = new Set(
      made.filter((resource) => queriesIndex(findEntry(resource, functions))).map(({ inputs }) => inputs.role),
    );
    return made.flatMap((resource) => {
      const entry = findEntry(resource, functions);
      if (!entry) return [`${resource.name} is in no list`];
      return scopeProblems(resource, entry, resources, queriers.has(resource.inputs.role));
    });
  },

  clusterAccess(resources, functions) {
    const entries = ofType(resources, "aws:eks/accessEntry:AccessEntry");
    const needed = functions.filter(({ uses }) => uses.includes("compute"));
    const made = ofType(resources, "aws:lambda/function:Function").flatMap((resource) => {
      const entry = needed.find((each) => each === findEntry(resource, functions));
      return entry ? [{ role: resource.inputs.role, drives: drivesCluster(entry) }] : [];
    });
    return [
      ...different(
        "roles let into the cluster",
        entries.map(({ inputs }) => inputs.principalArn),
        [...new Set(made.map(({ role }) => role))],
      ),
      ...entries.flatMap(({ name, inputs: { clusterName, principalArn, kubernetesGroups, type } }) => {
        const drives = made.some((each) => each.role === principalArn && each.drives);
        const group = drives ? "berth:controller" : "berth:commands";
        return differentInOrder(name, [clusterName, type, ...kubernetesGroups], ["gpus", "STANDARD", group]);
      }),
    ];
  },

  /**
   * Only functions that reach the cluster are in its network. Network interfaces have limited access to other hosts.
   */
  network(resources, functions) {
    const made = ofType(resources, "aws:lambda/function:Function");
    const inside = made.filter(({ inputs }) => inputs.vpcConfig !== undefined);
    if (inside.length === 0) return [];
    const wanted = made.filter((resource) => findEntry(resource, functions)?.uses.includes("compute"));
    const [first, second] = [inside, wanted].map((all) => all.map(({ name }) => name));
    return [
      ...different("functions in the network", first ?? [], second ?? []),
      ...inside.flatMap((each) => {
        const readsGroups = findEntry(each, functions)?.uses.includes("machineGroups") ?? false;
        return interfaceProblems(each, resources, readsGroups);
      }),
    ];
  },

  logs(resources) {
    const groups = ofType(resources, "aws:cloudwatch/logGroup:LogGroup");
    return ofType(resources, "aws:lambda/function:Function").flatMap((resource) => {
      const group = groups.find(({ inputs }) => inputs.name === resource.inputs.loggingConfig?.logGroup);
      if (!group) return [`${resource.name} has no log`];
      const stream = `arn:aws:logs:${home}:log-group:${group.inputs.name}:log-stream:one`;
      const mayWrite = allowedTo(resource, resources)
        .filter(({ Action }) => Action.includes("logs:PutLogEvents"))
        .some(({ Resource }) => Resource.some((arn) => covers(arn, stream)));
      return [
        ...(mayWrite ? [] : [`${resource.name} may not write to ${group.inputs.name}`]),
        ...(group.inputs.retentionInDays > 0 ? [] : [`${group.inputs.name} is kept for ever`]),
        ...(resource.after.includes(`${group.type} ${group.name}`) ? [] : [`${resource.name} is made before its log`]),
      ];
    });
  },
} as const satisfies Record<string, Check>;

/**
 * Lambda creates network interfaces with the function's role, but the function's own code must not. Only code that reads
 * node groups describes subnets.
 */
function interfaceProblems(resource: Resource, resources: readonly Resource[], readsGroups: boolean): string[] {
  const statements = listStatements(resource, resources);
  const allowed = statements
    .filter(({ Effect, Condition }) => Effect === "Allow" && !Condition)
    .flatMap(({ Action }) => Action.filter((action) => ofInterfaces.test(action)));
  const denied = statements
    .filter(({ Effect, Condition }) => Effect === "Deny" && Condition?.Null?.["lambda:SourceFunctionArn"] === "false")
    .filter(({ Resource }) => Resource.includes("*"))
    .flatMap(({ Action }) => Action);
  return [
    ...(allowed.includes("ec2:CreateNetworkInterface") ? [] : [`${resource.name} cannot get into its network`]),
    ...allowed
      .filter((action) => !denied.includes(action) && !(readsGroups && action === "ec2:DescribeSubnets"))
      .map((action) => `the code of ${resource.name} may ${action}`),
  ];
}

const ofInterfaces = /^ec2:.*(NetworkInterface|PrivateIpAddresses|Subnets)/;

interface Statement {
  readonly Effect: "Allow" | "Deny";
  readonly Action: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly Resource: readonly string[];
}

function allowedTo(resource: Resource, resources: readonly Resource[]): Statement[] {
  return listStatements(resource, resources).filter(({ Effect }) => Effect === "Allow");
}

/** Returns the statements of a function's role, or none if the stage does not create the role. */
function listStatements({ inputs }: Resource, resources: readonly Resource[]): Statement[] {
  const role = ofType(resources, "aws:iam/role:Role").find(({ name }) => inputs.role?.endsWith(`:role/${name}`));
  const policies: readonly { readonly policy: string }[] = role?.inputs.inlinePolicies ?? [];
  return policies.flatMap(({ policy }) => JSON.parse(policy).Statement);
}

const servicesOfPort: Readonly<Record<PortName, readonly string[]>> = {
  table: ["dynamodb"],
  queue: ["sqs"],
  compute: ["eks"],
  machineGroups: ["ec2", "eks"],
  volumes: ["ec2"],
  blobs: ["s3"],
  sealer: ["kms"],
  identity: [],
  githubKeys: [],
  fetch: [],
};

/**
 * Reports whether the module uses the whole driver. Others only run commands. A reconcile calls EC2 about a machine.
 */
function drivesCluster({ file }: FunctionEntry): boolean {
  return /\bcompute\b.*"#lambda\/(schedule-compute|worker-ports)\.ts"/.test(readFileSync(file, "utf8"));
}

function servicesFor(entry: FunctionEntry): string[] {
  const { kind, uses } = entry;
  // A function that only runs commands has the queue port for its verbs' types, but sends nothing.
  const sends = !(uses.includes("compute") && onlyRunsCommands(kind));
  const services = uses.filter((port) => port !== "queue" || sends).flatMap((port) => servicesOfPort[port]);
  const more = [
    ...(kind === "consumer" ? ["sqs"] : []),
    ...(kind === "consumer" && drivesCluster(entry) ? ["ec2"] : []),
    // Its queue, the queue's key, and its connections (socket-checks.ts).
    ...(kind === "socket" ? ["sqs", "kms", "execute-api"] : []),
  ];
  return [...new Set(["logs", ...services, ...more])];
}

/** Reports whether the function's bundle queries an index, such as `{index:"due",…}` (core/ports/table.ts). */
function queriesIndex(entry: FunctionEntry | undefined): boolean {
  if (!entry?.uses.includes("table")) return false;
  const { GlobalSecondaryIndexes = [] } = tableDefinition("any");
  const bundle = readFileSync(`dist/${entry.name}/index.mjs`, "utf8");
  return GlobalSecondaryIndexes.some(({ IndexName }) => bundle.includes(`index:"${IndexName}"`));
}

function scopeProblems(
  resource: Resource,
  entry: FunctionEntry,
  resources: readonly Resource[],
  roleQueriesIndex: boolean,
): string[] {
  const statements = allowedTo(resource, resources);
  const on = (action: string) => [
    ...new Set(statements.filter(({ Action }) => Action.includes(action)).flatMap(({ Resource }) => Resource)),
  ];
  const { name, uses } = entry;
  const queues = new Map(
    ofType(resources, "aws:sqs/queue:Queue").map((queue) => [queue.name, `arn:aws:sqs:${home}:${queue.inputs.name}`]),
  );
  const listArns = (names: readonly string[]) => names.map((each) => queues.get(`${capitalize(each)}Queue`));
  const [table] = ofType(resources, "aws:dynamodb/table:Table");
  const tableArn = `arn:aws:dynamodb:${home}:table/${table?.inputs.name}`;
  const indexes = on("dynamodb:Query").filter((arn) => arn !== tableArn);
  const reads = [...on("dynamodb:GetItem"), ...on("dynamodb:BatchGetItem")];
  const onTable = ["BatchGetItem", "DeleteItem", "PutItem"].flatMap((action) => on(`dynamodb:${action}`));
  return [
    ...different(`what ${name} sends to`, on("sqs:SendMessage"), listArns(queuesSentTo(entry))),
    ...different(`what ${name} receives from`, on("sqs:ReceiveMessage"), listArns(queuesReceivedFrom(entry))),
    ...different(`what ${name} reads`, [...new Set(reads)], uses.includes("table") ? [tableArn] : []),
    ...different(`the indexes that ${name} queries`, indexes, roleQueriesIndex ? [`${tableArn}/index/*`] : []),
    ...onTable.filter((arn) => arn !== tableArn).map((arn) => `${name} asks or writes ${arn}`),
  ];
}

const home = `${REGION}:${ACCOUNT}`;

function queuesReceivedFrom(entry: FunctionEntry): readonly string[] {
  if (entry.kind === "socket") return ["shell"];
  return entry.kind === "consumer" ? [entry.queue] : [];
}

function queuesSentTo(entry: FunctionEntry): readonly string[] {
  const { name, kind, uses } = entry;
  // The function sends the next frames of a command to its own queue.
  if (kind === "socket") return ["shell"];
  if (!uses.includes("queue") || (uses.includes("compute") && onlyRunsCommands(kind))) return [];
  return fewerQueues[name] ?? ["work", "pools", "webhooks"];
}

/** Functions that request reconciles of one kind of record (packages/core/reconciler/request-reconcile.ts). */
const fewerQueues: Readonly<Record<string, readonly string[]>> = {
  "gpu-dev/auth/aws-login": ["work"],
  "gpu-dev/disks/rename": ["work"],
  "gpu-dev/jobs/logs": ["work"],
  "schedules/snapshot-tags": ["work"],
  "consumers/deliver": ["webhooks"],
};

function findService(action: string): string | undefined {
  return action.split(":")[0];
}

/** Matches like IAM: a star matches any text. */
function covers(pattern: string, arn: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(arn);
}
