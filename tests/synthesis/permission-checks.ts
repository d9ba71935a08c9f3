import { type ConfigName, readConfigOf } from "#aws/settings/config.ts";
import { allSettingSchemas } from "#aws/settings/pod-setting-schemas.ts";
import { podSettingNames } from "#aws/settings/pod-settings.ts";
import { readSettings } from "#aws/settings/settings.ts";
import type { FunctionEntry, PortName } from "../../stacks/compute/functions-file.ts";
import { findRole } from "../../stacks/compute/roles.ts";
import { type Check, different, findEntry, ofType } from "./checks.ts";
import { rolePolicies, trustPolicies } from "./policies.ts";
import type { Resource } from "./synthesize.ts";

/** Resources with a star. `Arns` in roles.ts has the reasons. */
const starred = [
  /^\*$/,
  /:table\/[a-z0-9-]+\/index\/\*$/,
  /^arn:aws:s3:::[^*/]+\/\*$/,
  /:log-group:\/berth\/[a-z0-9-]+\/\*:\*$/,
  /^arn:aws:ec2:[^*]*:(volume|snapshot|instance)\/\*$/,
  /^arn:aws:execute-api:[^*]*\/\*\/@connections\/\*$/,
  // Node groups of one cluster: their names and ids are chosen outside of Berth.
  /^arn:aws:eks:[^*]*:nodegroup\/[^*/]+\/\*\/\*$/,
];
/** EC2 actions without resource-level permissions, and those that Lambda needs for a network. */
const onAnything = /^ec2:(Describe[A-Z][A-Za-z]+|(Create|Delete)NetworkInterface|(Una|A)ssignPrivateIpAddresses)$/;

/** All allowed actions. A new one needs a reason in roles.ts. */
const actionsByService = {
  dynamodb: ["BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query"],
  ec2: [
    ...["CreateSnapshot", "CreateTags", "CreateVolume", "DeleteSnapshot", "DeleteVolume", "DetachVolume"],
    ...["DescribeInstances", "DescribeSnapshots", "DescribeVolumes"],
    ...["DescribeCapacityReservations", "DescribeLaunchTemplateVersions"],
    ...["CreateNetworkInterface", "DeleteNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets"],
    ...["AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"],
  ],
  eks: ["DescribeCluster", "DescribeNodegroup", "ListNodegroups"],
  "execute-api": ["ManageConnections"],
  kms: [
    ...["Decrypt", "GenerateDataKey"],
    // Only EBS_KMS_KEY_ID needs these.
    ...["CreateGrant", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"],
  ],
  lambda: ["InvokeFunction"],
  logs: ["CreateLogStream", "PutLogEvents"],
  s3: ["DeleteObject", "GetObject", "ListBucket", "PutObject"],
  sqs: ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage", "SendMessage"],
} as const;
const knownActions = Object.entries(actionsByService).flatMap(([service, names]) =>
  names.map((name) => `${service}:${name}`),
);

export const permissionChecks = {
  /** Managed or attached policies would add permissions that the other checks do not read. */
  actions(resources) {
    const attached = ofType(resources, "aws:iam/role:Role").filter(
      ({ inputs }) => inputs.managedPolicyArns?.length > 0,
    );
    const apart = resources.filter(({ type }) => /^aws:iam\/.*[aA]ttachment/.test(type));
    return [
      ...[...attached, ...apart].map(({ name }) => `${name} has a policy that no check reads`),
      ...rolePolicies(resources).flatMap(({ of, document }) =>
        statementsIn(JSON.parse(document)).flatMap(({ actions }) =>
          [actions].flat().flatMap((action) => (knownActions.includes(action) ? [] : [`${of} may ${action}`])),
        ),
      ),
    ];
  },

  roles(resources, functions) {
    const roles = ofType(resources, "aws:iam/role:Role");
    const ours = roles.filter(({ inputs }) => inputs.inlinePolicies?.[0]?.name === "ports");
    return [
      ...different(
        "roles",
        ours.map(({ name }) => name),
        [...new Set(functions.map((entry) => findRole(entry).name))],
      ),
      ...roles
        .flatMap(getTrusted)
        .filter((line) => !/: (lambda|scheduler|apigateway|pods\.eks)\.amazonaws\.com$/.test(line)),
      ...roles.flatMap(getWide),
    ];
  },

  /**
   * `inlinePolicies` removes other inline policies on a refresh (Pulumi Registry, "aws.iam.Role"), so no role uses both
   * kinds.
   */
  onePlaceOfPolicies(resources) {
    const apart = resources.filter(({ type, read: result }) => /^aws:iam\/role(Policy|Policies)/.test(type) && !result);
    return ofType(resources, "aws:iam/role:Role")
      .filter(({ inputs }) => inputs.inlinePolicies || inputs.managedPolicyArns)
      .flatMap(({ name, inputs }) =>
        apart
          .filter((each) => [name, inputs.name].includes(each.inputs.role))
          .map((each) => `${each.name} is beside the policies of ${name}`),
      );
  },

  /** Only the role that creates volumes may use the key of EBS_KMS_KEY_ID, and only through EC2. */
  keyOfVolumes(resources, functions) {
    const made = ofType(resources, "aws:lambda/function:Function");
    const keys = new Set(made.flatMap(({ inputs }) => inputs.environment?.variables?.EBS_KMS_KEY_ID ?? []));
    const [key, ...others] = keys;
    const told = made.filter(({ inputs }) => inputs.environment?.variables?.EBS_KMS_KEY_ID !== undefined);
    const wanted = functions.filter(({ uses }) => uses.includes("volumes")).map(({ name }) => name);
    const byEc2 = { "kms:ViaService": "ec2.us-east-1.amazonaws.com" };
    const use = ["DescribeKey", "GenerateDataKeyWithoutPlaintext", "Decrypt", "ReEncryptFrom", "ReEncryptTo"];
    const lines = rolePolicies(resources).flatMap(({ of, document }) =>
      JSON.parse(document)
        .Statement.filter(({ Sid }: Resource["inputs"]) => /^(EncryptVolumes|GrantToVolumes)$/.test(Sid))
        .map((each: Resource["inputs"]) => JSON.stringify([of, each.Action, each.Resource, each.Condition])),
    );
    const statement = (actions: readonly string[], condition: object) =>
      JSON.stringify(["ConsumerWork", actions.map((action) => `kms:${action}`), [key], condition]);
    return [
      ...different(
        "functions that know the key of volumes",
        told.map((resource) => findEntry(resource, functions)?.name),
        key === undefined ? [] : wanted,
      ),
      ...(others.length > 0 ? ["volumes have several keys"] : []),
      ...different(
        "who may use the key of volumes",
        lines,
        key === undefined
          ? []
          : [
              statement(use, { StringEquals: byEc2 }),
              statement(["CreateGrant"], { StringEquals: byEc2, Bool: { "kms:GrantIsForAWSResource": "true" } }),
            ],
      ),
    ];
  },

  policySizes(resources) {
    const sizes = new Map<string, number>();
    for (const { of, document } of rolePolicies(resources)) sizes.set(of, (sizes.get(of) ?? 0) + getSize(document));
    return [
      ...[...sizes].filter(([, size]) => size > MOST_OF_A_ROLE).map(([of, size]) => `${of} may what ${size} bytes say`),
      ...trustPolicies(resources)
        .filter(({ document }) => getSize(document) > MOST_OF_A_TRUST)
        .map(({ of, document }) => `${of} trusts what ${getSize(document)} bytes say`),
      ...ofType(resources, "aws:iam/policy:Policy").map(
        ({ name }) => `${name} has a size of its own that nobody checks`,
      ),
    ];
  },

  environments(resources, functions) {
    const made = ofType(resources, "aws:lambda/function:Function");
    const knownNames = new Set(made.flatMap(({ inputs }) => Object.keys(inputs.environment?.variables ?? {})));
    return made.flatMap((resource) => {
      const entry = findEntry(resource, functions);
      if (!entry) return [`${resource.name} is in no list`];
      return [...environmentProblems(resource, entry), ...settingsProblems(resource, entry, knownNames)];
    });
  },
} as const satisfies Record<string, Check>;

/**
 * IAM allows 10,240 and 2,048 characters without white space ("IAM and AWS STS quotas"). Each ARN may be up to 11
 * characters longer in other regions and partitions.
 */
const MOST_OF_A_ROLE = 9_000;
const MOST_OF_A_TRUST = 1_900;

function getSize(policy: string): number {
  return policy.replaceAll(/\s/g, "").length;
}

function getTrusted({ name, inputs }: Resource): string[] {
  const { assumeRolePolicy: policy } = inputs;
  const { Statement = [] } = typeof policy === "string" ? JSON.parse(policy) : policy;
  return Statement.flatMap(({ Principal = {} }: Resource["inputs"]) =>
    Object.values(Principal)
      .flat()
      .map((who) => `${name} trusts: ${who}`),
  );
}

function getWide({ name, inputs }: Resource): string[] {
  const policies: readonly { readonly policy: string }[] = inputs.inlinePolicies ?? [];
  return policies
    .flatMap(({ policy }) => statementsIn(JSON.parse(policy)))
    .flatMap(({ actions, resources }) => {
      const wide = resources.filter((arn) => arn.includes("*") && !starred.some((form) => form.test(arn)));
      const all = resources.includes("*") ? actions.filter((action) => !onAnything.test(action)) : [];
      return [...actions.filter((action) => action.includes("*")), ...wide, ...all].map(
        (each) => `${name} may ${each}`,
      );
    });
}

function statementsIn({ Statement }: Resource["inputs"]): { actions: string[]; resources: string[] }[] {
  return Statement.map(({ Action, Resource }: Resource["inputs"]) => ({ actions: Action, resources: Resource }));
}

/** Settings that each port's adapter reads at init. */
const settingsOfPort: Readonly<Record<PortName, readonly ConfigName[]>> = {
  table: ["TABLE_NAME"],
  queue: ["WORK_QUEUE_URL", "POOLS_QUEUE_URL", "WEBHOOKS_QUEUE_URL"],
  compute: ["TABLE_NAME", "EKS_CLUSTER", "EKS_ENDPOINT", "EKS_CA"],
  machineGroups: ["EKS_CLUSTER"],
  volumes: ["TABLE_NAME", "EBS_KMS_KEY_ID"],
  blobs: ["BLOBS_BUCKET"],
  sealer: ["SEALER_KEY_ID"],
  identity: ["AWS_REGION"],
  githubKeys: ["GITHUB_KEYS_URL"],
  fetch: ["WEBHOOK_ALLOW"],
};

/** The size that stage.ts reserves for deployment values, plus this stage's settings without `SETTINGS`. */
const MOST_OF_AN_ENVIRONMENT = 1_000;

/** Finds settings that a function lacks or does not read. An unread one would redeploy the function without need. */
function settingsProblems({ name, inputs }: Resource, entry: FunctionEntry, knownNames: ReadonlySet<string>): string[] {
  const { SETTINGS, DEPLOYED_AT, ...input } = inputs.environment?.variables ?? {};
  const wanted = entry.settings.filter((each) => knownNames.has(each));
  return [
    ...(SETTINGS === entry.settings.join() ? [] : [`${name} is told to read ${SETTINGS}`]),
    // SST adds variables with this prefix.
    ...different(
      `settings of ${name}`,
      Object.keys(input).filter((each) => !each.startsWith("SST_")),
      wanted,
    ),
  ];
}

/** Finds settings that fail at init, and secrets that a function does not use. */
function environmentProblems({ name, inputs }: Resource, entry: FunctionEntry): string[] {
  const variables: Readonly<Record<string, string>> = inputs.environment?.variables ?? {};
  const serves = ["endpoint", "fallback", "socket"].includes(entry.kind);
  const names = [
    ...entry.uses.flatMap((port) => settingsOfPort[port]),
    ...(serves ? (["ORIGIN_SECRETS"] as const) : []),
    ...(entry.uses.includes("compute") && !serves
      ? (["NODE_TYPES", "NODE_TOLERATIONS", "TOOLS_IMAGE", ...podSettingNames] as const)
      : []),
    ...(entry.kind === "socket" ? (["SHELL_QUEUE_URL", "SOCKET_API_URL"] as const) : []),
  ];
  const secrets = [
    ...(serves ? ["ORIGIN_SECRETS"] : []),
    ...(name === "ConsumersDeliverFunction" ? ["WEBHOOK_SECRET"] : []),
  ];
  // stage.ts counts these among the settings.
  const counted = Object.entries(variables).filter(([key]) => !["SETTINGS", "EKS_ENDPOINT", "EKS_CA"].includes(key));
  const size = counted.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  if (size > MOST_OF_AN_ENVIRONMENT) return [`${name} is told ${size} bytes`];
  const environment = { ...variables, AWS_LAMBDA_FUNCTION_NAME: name, AWS_REGION: "us-east-1" };
  const saysUptime = name === "SharedHealthFunction";
  if (saysUptime !== Number.isFinite(Date.parse(variables.DEPLOYED_AT ?? ""))) return [`${name}: DEPLOYED_AT`];
  // IMAGE_PULL_SECRETS has only names of Secrets in the cluster.
  const has = Object.keys(variables).filter((each) => each.includes("SECRET") && each !== "IMAGE_PULL_SECRETS");
  try {
    readSettings(environment);
    readConfigOf(allSettingSchemas, names, environment);
    return different(`secrets of ${name}`, has, secrets);
  } catch (error) {
    return [`${name}: ${String(error)}`];
  }
}
