import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readStage } from "./stage.ts";

const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGfsCoS5UjAy7HiBBGNyDsGJMwkDBCcPVNGtvJnbjDTi";
const withoutKey = {
  DOMAIN: "berth.dev",
  ALLOWED_ACCOUNTS: "111111111111",
  ALLOWED_ROLES: "Dev",
  EKS_CLUSTER: "gpus",
  LOGIN_SERVER_ID: "berth.dev",
};
const defaults = { DISK_VOLUME_IDLE_DAYS: "7" };
const input = { ...withoutKey, SSH_HOST_KEYS: hostKey };

const certificate = "arn:aws:acm:us-east-1:111111111111:certificate/0a1b2c3d-1111-2222-3333-444455556666";

test("a stage reports all of its missing settings at once", () => {
  expect(() => readStage("Prod", { API_DOMAIN: "api.berth.dev" })).toThrow(
    `Stage Prod cannot be deployed:
  DOMAIN must be set
  ALLOWED_ACCOUNTS must be set
  ALLOWED_ROLES must be set
  LOGIN_SERVER_ID must be set
  EKS_CLUSTER must be the name of an EKS cluster
  the stage must be 1 to 20 of a-z, 0-9 and -, a letter first and no - at its end
  API_DOMAIN needs API_CERTIFICATE_ARN
  ACCESS=gateway, the default, needs DOMAIN: the gateway serves ssh.<DOMAIN> for SSH and *.<DOMAIN> for pages
  ACCESS=gateway, the default, needs SSH_HOST_KEYS: make the gateway's host key (docs/deploy.md#let-users-in)
  without a gateway set ACCESS=none: no user enters a job then`,
  );
});

test.each([
  ["production", {}, "ALARM_EMAIL must be set"],
  // The label of the deployment on the cluster, `berth-dev-`, would be refused by every function that uses it.
  ["dev-", {}, "no - at its end"],
  ["dev", { MONTHLY_BUDGET_USD: "500" }, "ALARM_EMAIL must be set"],
  ["dev", { EXEC_CAP_SECONDS: "150" }, "EXEC_CAP_SECONDS must be at most 115 on Lambda"],
  ["dev", { KEY_TTL_HOURS: "x" }, "KEY_TTL_HOURS must be a whole number from 1 to 168"],
  ["dev", { LOGIN_SERVER_ID: "a b" }, "LOGIN_SERVER_ID must be 1 to 128 letters"],
  ["dev", { NODE_TYPES: "a=b" }, "NODE_TYPES must name known types"],
  ["dev", { MACHINE_RESOURCES: "cpu" }, "MACHINE_RESOURCES must be none, or resources like vpc.amazonaws.com/efa"],
  [
    "dev",
    { PREPULL_IMAGES: "torch:2,docker://a" },
    "PREPULL_IMAGES must be the name of an image: Image must not begin",
  ],
  ["dev", { POD_CAPABILITIES: "SYS_ADMIN" }, "POD_CAPABILITIES must be capabilities among SYS_PTRACE, IPC_LOCK"],
  ["dev", { POD_PATCH: '{"spec":{"hostPID":true}}' }, "Refused: spec.hostPID"],
  [
    "dev",
    { POD_NETWORK_ALLOW: "0.0.0.0/0" },
    "POD_NETWORK_ALLOW must name networks without 127.0.0.0/8, 169.254.0.0/16",
  ],
  ["dev", { SHARED_CLAIMS: "datasets=/etc:ro" }, "SHARED_CLAIMS must name no directory that images have"],
  ["dev", { POD_GRACE_SECONDS: "601" }, "POD_GRACE_SECONDS must be a whole number from 1 to 600"],
  ["dev", { POD_CPU_LIMIT: "2" }, "POD_CPU_LIMIT must be share or none"],
  ["dev", { NODE_TOLERATIONS: "team:Never" }, "NODE_TOLERATIONS must be taints like dedicated=research:NoSchedule"],
  [
    "dev",
    { NODE_TOLERATIONS: "node.kubernetes.io/not-ready" },
    "NODE_TOLERATIONS must be taints like dedicated=research:NoSchedule",
  ],
  // By an alias or an id alone no policy could name the key.
  ["dev", { EBS_KMS_KEY_ID: "alias/disks" }, "EBS_KMS_KEY_ID must be the ARN of a KMS key"],
  ["dev", { EBS_KMS_KEY_ID: "0a1b2c3d-1111-2222-3333-444455556666" }, "EBS_KMS_KEY_ID must be the ARN of a KMS key"],
  ["dev", { WEBHOOK_ALLOW: "a b" }, "WEBHOOK_ALLOW must be hosts"],
  ["dev", { VPC_SUBNETS: "subnet-1" }, "VPC_SUBNETS and VPC_SECURITY_GROUPS need EKS_ACCESS=private"],
  ["dev", { EKS_ACCESS: "public", VPC_SECURITY_GROUPS: "sg-1" }, "need EKS_ACCESS=private"],
  ["dev", { EKS_ACCESS: "privat" }, "EKS_ACCESS must be public or private"],
  ["dev", { EKS_ACCESS: "private", VPC_SUBNETS: "subnet-1" }, "needs VPC_SECURITY_GROUPS"],
  ["dev", { EKS_ACCESS: "private", VPC_SUBNETS: "subnet-1,", VPC_SECURITY_GROUPS: "sg-1" }, "needs VPC_SUBNETS"],
  ["dev", { ALLOWED_ROLES: Array(300).fill("Developers").join() }, "room for 3000: shorten ALLOWED_ROLES"],
  ["dev", { WEBHOOK_ALLOW: Array(300).fill("10.0.0.0/8").join() }, "room for 3000: shorten WEBHOOK_ALLOW"],
  // The certificate that each deployment reads from EKS takes room as well.
  [
    "dev",
    {
      NODE_TYPES: Array(32)
        .fill(`${"a".repeat(20)}=b=p5.48xlarge`)
        .join(),
    },
    "room for 3000: shorten NODE_TYPES",
  ],
  ["dev", { ACCESS: "vpn" }, "ACCESS must be gateway, nodeport or none"],
  ["dev", { SSH_HOST_KEYS: "" }, "ACCESS=gateway, the default, needs SSH_HOST_KEYS: make the gateway's host key"],
  ["dev", { ACCESS: "gateway", SSH_HOST_KEYS: "" }, "ACCESS=gateway needs SSH_HOST_KEYS: make the gateway's host key"],
  ["dev", { SSH_GATEWAY: "ssh.berth.dev", SSH_HOST_KEYS: "" }, "without a gateway set ACCESS=none"],
  ["dev", { SSH_GATEWAY: "ssh.berth.dev", DOMAIN: "" }, "needs DOMAIN: the gateway serves *.<DOMAIN> for pages"],
  ["dev", { ACCESS: "gateway", SSH_HOST_KEYS: "id_ed25519" }, "SSH_HOST_KEYS must be"],
  ["dev", { ACCESS: "nodeport", SSH_HOST_KEYS: "" }, "ACCESS=nodeport needs TOOLS_IMAGE"],
  ["dev", { ACCESS: "none", SSH_GATEWAY: "ssh.berth.dev" }, "SSH_GATEWAY needs ACCESS=gateway"],
  ["dev", { ACCESS: "nodeport", TOOLS_IMAGE: "tools" }, "SSH_HOST_KEYS needs ACCESS=gateway"],
  ["dev", { GATEWAY_ACCESS: "internal" }, "GATEWAY_ACCESS must be public or private"],
  ["dev", { ALARM_EMAIL: "nobody" }, "ALARM_EMAIL must be an address"],
  ["dev", { AWS_REGION: "eu west" }, "AWS_REGION must be a region"],
  ["dev", { DEPLOY_ACCOUNT: "12345" }, "DEPLOY_ACCOUNT must be an account id of 12 digits"],
  ["dev", { API_DOMAIN: "https://api.berth.dev", API_CERTIFICATE_ARN: certificate }, "API_DOMAIN must be a host name"],
  [
    "dev",
    { API_DOMAIN: "api.berth.dev", API_CERTIFICATE_ARN: certificate.replace("us-east-1", "eu-west-1") },
    "API_CERTIFICATE_ARN must be the ARN of a certificate in us-east-1",
  ],
  ["dev", { ALARM_EMAIL: "a@b.dev", MONTHLY_BUDGET_USD: "much" }, "MONTHLY_BUDGET_USD must be"],
])("%s with %j is refused with its missing setting", (name, more, says) => {
  expect(() => readStage(name, { ...input, ...more })).toThrow(says);
});

test("a bad ACCESS is the only problem of a stage without a host key", () => {
  expect(() => readStage("dev", { ...withoutKey, ACCESS: "vpn" })).toThrow(
    "Stage dev cannot be deployed:\n  ACCESS must be gateway, nodeport or none",
  );
});

test("a stage with its region and a host name is accepted", () => {
  const place = { AWS_REGION: "eu-west-1", DEPLOY_ACCOUNT: "111111111111" };
  const api = { API_DOMAIN: "api.berth.dev", API_CERTIFICATE_ARN: certificate };

  expect(readStage("dev", { ...input, ...place, ...api }).domain).toEqual({
    name: "api.berth.dev",
    certificateArn: certificate,
  });
});

test("a stage passes on the settings that have a value, and no secret", () => {
  const stage = readStage("dev", {
    ...input,
    WEBHOOK_SECRET: "secret",
    NODE_TYPES: "a=b=p5.48xlarge",
    GITHUB_KEYS_URL: "",
  });

  const access = { ACCESS: "gateway", SSH_GATEWAY: "ssh.berth.dev" };
  expect(stage.settings).toEqual({ ...input, ...defaults, NODE_TYPES: "a=b=p5.48xlarge", ...access });
});

test("a stage keeps unused volumes if it says so", () => {
  expect(readStage("dev", { ...input, DISK_VOLUME_IDLE_DAYS: "0" }).settings.DISK_VOLUME_IDLE_DAYS).toBe("0");
});

test.each([
  [{ ACCESS: "none" }, {}, undefined],
  [{ ACCESS: "nodeport", TOOLS_IMAGE: "tools" }, { CLUSTER_SSH: "nodeport" }, undefined],
  [
    { SSH_HOST_KEYS: hostKey, DOMAIN: "berth.dev:8443" },
    { ACCESS: "gateway", SSH_GATEWAY: "ssh.berth.dev" },
    { ssh: "ssh.berth.dev", pages: "berth.dev", isPrivate: false },
  ],
  [
    { ACCESS: "gateway", SSH_HOST_KEYS: hostKey, SSH_GATEWAY: "in.berth.dev:2222" },
    { SSH_GATEWAY: "in.berth.dev:2222" },
    { ssh: "in.berth.dev", pages: "berth.dev", isPrivate: false },
  ],
])("a stage with %j tells functions %j", (chosen, told, gateway) => {
  const stage = readStage("dev", { ...withoutKey, ...chosen });

  expect(stage.settings).toEqual({ ...withoutKey, ...defaults, ...chosen, ...told });
  expect(stage.gateway).toEqual(gateway);
});

test("a gateway is private with GATEWAY_ACCESS=private, which no function is told", () => {
  const stage = readStage("dev", { ...input, GATEWAY_ACCESS: "private" });

  expect(stage.gateway?.isPrivate).toBe(true);
  expect(stage.settings).not.toHaveProperty("GATEWAY_ACCESS");
});

/** Settings of the embedded stack, of the gateway and of cluster:apply, settings that the stage itself creates, and secrets. */
const elsewhere =
  `HOST_KEY_FILE ALLOWED_SOURCES DRAIN_SECONDS PORT METRICS_PORT SSH_PORT POD_IP TUNNEL_PORT BERTH_HOME LOG_FORMAT LOG_LEVEL BERTH_OPEN LOCAL_USERS LOCAL_NODES
  SHARE_WITHOUT_MEMORY_LIMIT PREPULL_IMAGES
  COMPUTE KUBECONFIG KUBE_CONTEXT CLUSTER_SSH INGRESS_CLASS INGRESS_ANNOTATIONS LOCAL_PATH SWEEP_SECONDS
  NOVITA_CATALOGUE TABLE_NAME WORK_QUEUE_URL POOLS_QUEUE_URL WEBHOOKS_QUEUE_URL ORIGIN_SECRETS WEBHOOK_SECRET
  SEALER_KEY_ID BLOBS_BUCKET AWS_REGION AWS_ENDPOINT_URL_STS AWS_ENDPOINT_URL_KMS AWS_ENDPOINT_URL_S3
  AWS_ENDPOINT_URL_EKS SHELL_QUEUE_URL SOCKET_API_URL`.split(/\s+/);

/** Values for settings that have none in .env.example. */
const valid = {
  SHARED_CLAIMS: "datasets=/data:ro",
  POD_NETWORK_ALLOW: "10.20.0.0/16=443",
  POD_PATCH: '{"metadata":{"labels":{"team":"research"}}}',
  IMAGE_PULL_SECRETS: "registry",
  POD_CAPABILITIES: "SYS_PTRACE",
  ADMIN_USERS: "ada",
  ADMIN_ROLES: "Admin",
  MACHINE_TYPES: "g6e.12xlarge=l40s:4:48:384",
  NODE_GROUPS: "p5.48xlarge=1:300:us-east-1a",
  NODE_TYPES: "a=p5.48xlarge",
  NEW_MACHINE_RESOURCES: "p5.48xlarge=vpc.amazonaws.com/efa:32",
  NODE_TOLERATIONS: "team",
  EKS_ENDPOINT: "https://eks.example",
  EKS_CA: "YQ==",
  TOOLS_IMAGE: "tools",
  EBS_KMS_KEY_ID: "arn:aws:kms:us-east-1:111111111111:key/0a1b2c3d",
  WEBHOOK_ALLOW: "10.0.0.0/8",
  STS_ORIGINS: "https://sts.amazonaws.com",
  IDLE_GPU_MINUTES: "30",
  ACCESS: "gateway",
  SSH_GATEWAY: "ssh.berth.dev",
  SSH_HOST_KEYS: hostKey,
  ALARM_EMAIL: "a@b.dev",
};

test("NODE_GROUPS of a stage names zones, in one of which the volume of a disk is made", () => {
  const read = (NODE_GROUPS: string) => () => readStage("dev", { ...input, NODE_GROUPS });

  expect(read("p5.48xlarge=2,g5.12xlarge=1:300:us-east-1a")).toThrow("NODE_GROUPS must name the zones of p5.48xlarge");
  expect(read("p5.48xlarge=0")).not.toThrow();
});

test("every setting of .env.example is passed on, or does not belong to a stage", () => {
  const example = readFileSync(new URL("../.env.example", import.meta.url), "utf8");
  const written = [...example.matchAll(/^([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]);
  const names = written.map(([name = ""]) => name);
  const all = { ...Object.fromEntries(written), ...input, ...valid };

  const stage = readStage("dev", all);

  expect(Object.keys(stage.settings).toSorted()).toEqual(names.filter((name) => !elsewhere.includes(name)).toSorted());
});
