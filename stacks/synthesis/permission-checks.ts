import { type ConfigName, readConfig, readSettings } from "../../packages/aws/config.ts";
import type { FunctionEntry, PortName } from "../functions-file.ts";
import { roleOf } from "../roles.ts";
import { type Check, different, entryOf, ofType } from "./checks.ts";
import type { Resource } from "./synthesize.ts";

/** Resources that may end with a star (`wildcards` of roles.ts says why each may). */
const starred = [
  /^\*$/,
  /:table\/[a-z0-9-]+\/index\/\*$/,
  /^arn:aws:s3:::[^*/]+\/\*$/,
  /:log-group:\/aws\/lambda\/berth-[a-z0-9-]+-\*:\*$/,
  /^arn:aws:ec2:[^*]*:(volume|snapshot|instance)\/\*$/,
];
/** Actions that EC2 knows no resource for. */
const onAnything = /^ec2:Describe[A-Z][A-Za-z]+$/;

export const permissionChecks = {
  roles(resources, functions) {
    const roles = ofType(resources, "aws:iam/role:Role");
    const ours = roles.filter(({ inputs }) => inputs.inlinePolicies?.[0]?.name === "ports");
    return [
      ...different(
        "roles",
        ours.map(({ name }) => name),
        [...new Set(functions.map((entry) => roleOf(entry).name))],
      ),
      ...roles.flatMap(trustedOf).filter((line) => !/: (lambda|scheduler)\.amazonaws\.com$/.test(line)),
      ...roles.flatMap(wideOf),
    ];
  },

  environments(resources, functions) {
    return ofType(resources, "aws:lambda/function:Function").flatMap((resource) => {
      const entry = entryOf(resource, functions);
      return entry ? environmentProblems(resource, entry) : [`${resource.name} is in no list`];
    });
  },
} as const satisfies Record<string, Check>;

/** Who may take on a role, a line each. */
function trustedOf({ name, inputs }: Resource): string[] {
  const { assumeRolePolicy: policy } = inputs;
  const { Statement = [] } = typeof policy === "string" ? JSON.parse(policy) : policy;
  return Statement.flatMap(({ Principal = {} }: Resource["inputs"]) =>
    Object.values(Principal)
      .flat()
      .map((who) => `${name} trusts: ${who}`),
  );
}

function wideOf({ name, inputs }: Resource): string[] {
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

/** Of a policy of ours, or of one that SST asked AWS to write. */
function statementsIn({
  Statement,
  statements = [],
}: Resource["inputs"]): { actions: string[]; resources: string[] }[] {
  return Statement
    ? Statement.map(({ Action, Resource }: Resource["inputs"]) => ({ actions: Action, resources: Resource }))
    : statements;
}

/** What the adapter of each port reads at init. */
const settingsOfPort: Readonly<Record<PortName, readonly ConfigName[]>> = {
  table: ["TABLE_NAME"],
  queue: ["WORK_QUEUE_URL", "POOLS_QUEUE_URL", "WEBHOOKS_QUEUE_URL"],
  compute: ["TABLE_NAME", "EKS_CLUSTER", "EKS_ENDPOINT", "EKS_CA", "NODE_TYPES", "TOOLS_IMAGE"],
  volumes: ["TABLE_NAME"],
  blobs: ["BLOBS_BUCKET"],
  sealer: ["SEALER_KEY_ID"],
  identity: ["AWS_REGION"],
  githubKeys: ["GITHUB_KEYS_URL"],
  fetch: ["WEBHOOK_ALLOW"],
};

/** An init that would end, and a secret where nobody uses it. */
function environmentProblems({ name, inputs }: Resource, entry: FunctionEntry): string[] {
  const given: Readonly<Record<string, string>> = inputs.environment?.variables ?? {};
  const serves = entry.kind === "endpoint" || entry.kind === "fallback";
  const names = [
    ...entry.uses.flatMap((port) => settingsOfPort[port]),
    ...(serves ? (["ORIGIN_SECRETS"] as const) : []),
  ];
  const secrets = [
    ...(serves ? ["ORIGIN_SECRETS"] : []),
    ...(name === "WorkDeliverFunction" ? ["WEBHOOK_SECRET"] : []),
  ];
  const environment = { ...given, AWS_LAMBDA_FUNCTION_NAME: name, AWS_REGION: "us-east-1" };
  const has = Object.keys(given).filter((each) => each.includes("SECRET"));
  try {
    readSettings(environment);
    readConfig(names, environment);
    return different(`secrets of ${name}`, has, secrets);
  } catch (error) {
    return [`${name}: ${String(error)}`];
  }
}
