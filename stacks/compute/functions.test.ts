import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { permissionChecks } from "#tests/synthesis/permission-checks.ts";
import functionsFile from "../../functions.json" with { type: "json" };
import { readStage } from "../stage.ts";
import { functionArguments, getEnvironment, logicalName, type Surroundings } from "./functions.ts";
import type { FunctionEntry, FunctionsFile } from "./functions-file.ts";

const functions = functionsFile as FunctionsFile;
const entry = functions.find(({ name }) => name === "shared/health") as FunctionEntry;
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI";
const stage = readStage("dev", {
  DOMAIN: "berth.dev",
  ALLOWED_ACCOUNTS: "111111111111",
  ALLOWED_ROLES: "Dev",
  EKS_CLUSTER: "gpus",
  LOGIN_SERVER_ID: "berth.dev",
  ACCESS: "gateway",
  SSH_HOST_KEYS: `${key}${"a".repeat(32)}`,
});
let around: Surroundings;

beforeEach(async () => {
  around = {
    stage,
    deployedAt: "2026-01-01T00:00:00Z",
    bundles: await mkdtemp(join(tmpdir(), "berth-bundles-")),
    queueUrls: { WORK_QUEUE_URL: "", POOLS_QUEUE_URL: "", WEBHOOKS_QUEUE_URL: "" },
    shellQueueUrl: "",
    socketApiUrl: "",
    bucketName: "",
    sealerKeyId: "",
    originSecrets: "",
    webhookSecret: "",
    clusterAddress: {},
    network: undefined,
  };
});

afterEach(() => rm(around.bundles, { recursive: true }));

const make = () => functionArguments(entry, around, { role: "role", logGroup: "log" });

test("a function whose bundle is missing fails the deployment with advice", () => {
  expect(make).toThrow("shared/health has no index.mjs: run `npm run bundle` before a deployment");
});

test("a bundle without the file of its handler fails the deployment, and one with it is deployed", async () => {
  const bundle = join(around.bundles, "shared/health");
  await mkdir(bundle, { recursive: true });
  expect(make).toThrow("has no index.mjs");

  await writeFile(join(bundle, "index.mjs"), "");

  expect(make()).toMatchObject({ bundle, handler: "index.handler" });
});

const filled: Omit<Surroundings, "bundles" | "stage"> = {
  deployedAt: "2026-01-01T00:00:00Z",
  queueUrls: {
    WORK_QUEUE_URL: "https://sqs.test/work",
    POOLS_QUEUE_URL: "https://sqs.test/pools.fifo",
    WEBHOOKS_QUEUE_URL: "https://sqs.test/webhooks",
  },
  shellQueueUrl: "https://sqs.test/shell.fifo",
  socketApiUrl: "https://socket.test/socket",
  bucketName: "berth-blobs",
  sealerKeyId: "key",
  originSecrets: "s".repeat(32),
  webhookSecret: "webhook-secret",
  network: undefined,
  clusterAddress: { EKS_ENDPOINT: "https://gpus.eks.test", EKS_CA: "Z3B1cw==" },
};

/** Values that differ from those of `stage`. */
const changes: Readonly<Record<string, string>> = {
  DOMAIN: "other.dev",
  MACHINE_TYPES: "g6e.12xlarge=l40s:4:48:384",
  SCHEME: "http",
  SSH_GATEWAY: "in.berth.dev:2222",
  SSH_HOST_KEYS: `${key}${"b".repeat(32)}`,
  ALLOWED_ACCOUNTS: "222222222222",
  ALLOWED_ROLES: "Dev,Research",
  ADMIN_USERS: "ada",
  ADMIN_ROLES: "Admin",
  LOGIN_SERVER_ID: "other.dev",
  STS_ORIGINS: "https://sts.amazonaws.com",
  KEY_TTL_HOURS: "3",
  KEY_CHAIN_HOURS: "13",
  KEY_OVERLAP_SECONDS: "61",
  MIN_DURATION_HOURS: "1",
  MAX_DURATION_HOURS: "71",
  MAX_TOTAL_HOURS: "167",
  MAX_QUEUE_HOURS: "47",
  MAX_WAITING_PER_USER: "9",
  PREPARING_MINUTES: "31",
  NODE_GROUPS: "p5.48xlarge=1:300:us-east-1a",
  DISK_RETENTION_DAYS: "31",
  DISK_VOLUME_IDLE_DAYS: "8",
  SESSION_IMAGE: "session",
  SESSION_BACKUP: "0",
  DEV8_REGIONS: "eastus",
  DEV8_IMAGE: "dev8",
  EXEC_CAP_SECONDS: "100",
  IDLE_GPU_MINUTES: "30",
  AUTO_STOP_DRY_RUN: "1",
  ORPHANS_DRY_RUN: "1",
  EKS_CLUSTER: "others",
  EKS_ENDPOINT: "https://eks.example",
  EKS_CA: "YQ==",
  NODE_TYPES: "a=p5.48xlarge",
  NODE_TOLERATIONS: "team",
  POD_CPU_LIMIT: "none",
  POD_GRACE_SECONDS: "30",
  MACHINE_RESOURCES: "none",
  NEW_MACHINE_RESOURCES: "p5.48xlarge=vpc.amazonaws.com/efa:32",
  IMAGE_PULL_SECRETS: "registry",
  POD_PATCH: '{"metadata":{"labels":{"team":"research"}}}',
  POD_NETWORK_ALLOW: "10.20.0.0/16=443",
  SHARED_CLAIMS: "datasets=/data:ro",
  POD_CAPABILITIES: "SYS_PTRACE",
  POD_USER_NAMESPACES: "1",
  TOOLS_IMAGE: "tools",
  GITHUB_KEYS_URL: "https://github.test/<user>.keys",
  EBS_KMS_KEY_ID: "arn:aws:kms:us-east-1:111111111111:key/0a1b2c3d",
  WEBHOOK_ALLOW: "10.0.0.0/8",
};

function variablesWith(settings: Readonly<Record<string, string>>) {
  const around = { ...filled, bundles: "", stage: readStage("dev", { ...stage.settings, ...settings }) };
  return functions.map((each) => [each.name, getEnvironment(each, around)] as const);
}

function changedBy(name: string): string[] {
  const before = new Map(variablesWith({}));
  return variablesWith({ [name]: changes[name] ?? "" }).flatMap(([each, variables]) =>
    JSON.stringify(variables) === JSON.stringify(before.get(each)) ? [] : [each],
  );
}

test("every setting that a stage passes on has a special value in this test", () => {
  const { ACCESS, ...settings } = readStage("dev", { ...stage.settings, ...changes }).settings;

  expect(ACCESS).toBe("gateway");
  expect(Object.keys(settings).toSorted()).toEqual(Object.keys(changes).toSorted());
});

test.each(Object.keys(changes))("a change of %s changes only the functions that read it", (name) => {
  const readers = functions.filter(({ settings }) => settings.includes(name));

  expect(readers).not.toEqual([]);
  expect(changedBy(name)).toEqual(readers.map((each) => each.name));
});

test.each([
  [
    { ACCESS: "none" },
    [
      "consumers/deliver",
      "consumers/reconcile",
      "dev8/environments/create",
      "dev8/environments/get",
      "dev8/environments/list",
      "dev8/environments/start",
      "gpu-dev/admin/list-jobs",
      "gpu-dev/jobs/get",
      "gpu-dev/jobs/list",
      "gpu-dev/jobs/terminal",
      "novita/instances/get",
      "novita/instances/list",
      "onmemos/sessions/connect",
      "onmemos/sessions/create",
      "onmemos/sessions/get",
      "onmemos/sessions/list",
      "onmemos/workspaces/create",
      "onmemos/workspaces/get",
      "onmemos/workspaces/list",
      "session-manager/sessions/create",
      "session-manager/sessions/get",
      "session-manager/sessions/list",
      "session-manager/sessions/status",
    ],
  ],
  [
    { ACCESS: "nodeport", TOOLS_IMAGE: "tools" },
    [
      "consumers/deliver",
      "consumers/reconcile",
      "dev8/environments/create",
      "dev8/environments/get",
      "dev8/environments/list",
      "dev8/environments/start",
      "gpu-dev/admin/list-jobs",
      "gpu-dev/jobs/get",
      "gpu-dev/jobs/list",
      "gpu-dev/jobs/terminal",
      "novita/instances/get",
      "novita/instances/list",
      "onmemos/sessions/connect",
      "onmemos/sessions/create",
      "onmemos/sessions/get",
      "onmemos/sessions/list",
      "onmemos/workspaces/create",
      "onmemos/workspaces/get",
      "onmemos/workspaces/list",
      "schedules/capacity",
      "schedules/orphans",
      "schedules/watch",
      "session-manager/sessions/create",
      "session-manager/sessions/get",
      "session-manager/sessions/list",
      "session-manager/sessions/status",
    ],
  ],
])("only functions that drive the cluster or show environments know %j", (chosen, names) => {
  const { ACCESS: _, SSH_GATEWAY: __, SSH_HOST_KEYS: ___, ...others } = stage.settings;
  const around = { ...filled, bundles: "", stage: readStage("dev", { ...others, ...chosen }) };
  const readers = functions.filter((each) => {
    const { ACCESS, CLUSTER_SSH } = getEnvironment(each, around);
    return (ACCESS ?? CLUSTER_SSH) !== undefined;
  });

  expect(readers.map(({ name }) => name)).toEqual(names);
});

test("new node groups change the functions that plan and estimate, and new allow-lists only the login", () => {
  expect(changedBy("NODE_GROUPS")).toEqual([
    "consumers/plan",
    "consumers/reconcile",
    "gpu-dev/admin/drain-pool",
    "gpu-dev/admin/list-jobs",
    "gpu-dev/admin/list-pools",
    "gpu-dev/cluster/status",
    "gpu-dev/environments/list",
    "gpu-dev/gpu/availability",
    "gpu-dev/jobs/estimate",
    "gpu-dev/jobs/get",
    "gpu-dev/jobs/list",
    "schedules/capacity",
    "schedules/watch",
  ]);
  expect(["ALLOWED_ROLES", "ALLOWED_ACCOUNTS"].map(changedBy)).toEqual([
    ["gpu-dev/auth/aws-login"],
    ["gpu-dev/auth/aws-login"],
  ]);
});

test("every function gets the settings that its init reads, with all settings and with only the required ones", () => {
  for (const settings of [{}, changes]) {
    const resources = variablesWith(settings).map(([name, variables]) => ({
      type: "aws:lambda/function:Function",
      name: `${logicalName({ name })}Function`,
      read: false,
      inputs: { environment: { variables } },
      after: [],
    }));

    expect(
      permissionChecks.environments(resources, functions).filter((problem) => !/ is told \d+ bytes$/.test(problem)),
    ).toEqual([]);
  }
});
