import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readStage } from "./stage.ts";

const given = { DOMAIN: "berth.dev", ALLOWED_ACCOUNTS: "111111111111", ALLOWED_ROLES: "Dev", EKS_CLUSTER: "gpus" };

test("a stage is named by everything that it lacks, at once", () => {
  expect(() => readStage("Prod", { API_DOMAIN: "api.berth.dev" })).toThrow(
    `Stage Prod cannot be deployed:
  DOMAIN must be set
  ALLOWED_ACCOUNTS must be set
  ALLOWED_ROLES must be set
  EKS_CLUSTER must be set
  the stage must be 1 to 20 of a-z, 0-9 and -
  API_DOMAIN needs API_CERTIFICATE_ARN`,
  );
});

test("settings reach the functions that read them, and a secret none", () => {
  const stage = readStage("dev", { ...given, WEBHOOK_SECRET: "secret", NODE_TYPES: "a=b", GITHUB_KEYS_URL: "" });

  expect(stage.settings).toEqual({
    LOGIN_SERVER_ID: "berth-dev",
    DOMAIN: "berth.dev",
    ALLOWED_ACCOUNTS: "111111111111",
    ALLOWED_ROLES: "Dev",
  });
  expect(stage.clusterSettings).toEqual({ EKS_CLUSTER: "gpus", NODE_TYPES: "a=b" });
  expect(stage.keysSettings).toEqual({});
  expect(JSON.stringify(stage)).not.toContain("secret");
});

/** Of the laptop alone, of one function's environment, or secret. */
const elsewhere = `PORT METRICS_PORT SSH_PORT BERTH_HOME LOG_FORMAT LOG_LEVEL BERTH_OPEN LOCAL_USERS LOCAL_NODES
  COMPUTE KUBECONFIG KUBE_CONTEXT CLUSTER_SSH INGRESS_CLASS INGRESS_ANNOTATIONS LOCAL_PATH SWEEP_SECONDS
  NOVITA_CATALOGUE TABLE_NAME WORK_QUEUE_URL POOLS_QUEUE_URL WEBHOOKS_QUEUE_URL ORIGIN_SECRETS WEBHOOK_SECRET
  SEALER_KEY_ID BLOBS_BUCKET AWS_REGION AWS_ENDPOINT_URL_STS AWS_ENDPOINT_URL_KMS AWS_ENDPOINT_URL_S3
  AWS_ENDPOINT_URL_EKS`.split(/\s+/);

test("every setting of .env.example is passed on, or is none of a stage", () => {
  const example = readFileSync(new URL("../.env.example", import.meta.url), "utf8");
  const names = [...example.matchAll(/^([A-Z][A-Z0-9_]*)=/gm)].map(([, name = ""]) => name);
  const all = Object.fromEntries(names.map((name) => [name, "x"]));

  const { settings, clusterSettings, keysSettings, receiverSettings } = readStage("dev", all);

  const passed = Object.keys({ ...settings, ...clusterSettings, ...keysSettings, ...receiverSettings });
  expect(passed.toSorted()).toEqual(names.filter((name) => !elsewhere.includes(name)).toSorted());
});
