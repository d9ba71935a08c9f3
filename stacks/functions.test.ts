import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import functionsFile from "../functions.json" with { type: "json" };
import { functionArguments, type Surroundings } from "./functions.ts";
import type { FunctionEntry, FunctionsFile } from "./functions-file.ts";
import { readStage } from "./stage.ts";

const entry = (functionsFile as FunctionsFile).find(({ name }) => name === "shared/health") as FunctionEntry;
const stage = readStage("dev", {
  DOMAIN: "berth.dev",
  ALLOWED_ACCOUNTS: "111111111111",
  ALLOWED_ROLES: "Dev",
  EKS_CLUSTER: "gpus",
  LOGIN_SERVER_ID: "berth.dev",
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
  };
});

afterEach(() => rm(around.bundles, { recursive: true }));

const make = () => functionArguments(entry, around, { role: "role", logGroup: "log" });

test("a function whose bundle is missing ends the deployment, which says what to do", () => {
  expect(make).toThrow("shared/health has no index.mjs: run `npm run bundle` before a deployment");
});

test("a bundle without the file of its handler ends it too, and one that has it is what is deployed", async () => {
  const bundle = join(around.bundles, "shared/health");
  await mkdir(bundle, { recursive: true });
  expect(make).toThrow("has no index.mjs");

  await writeFile(join(bundle, "index.mjs"), "");

  expect(make()).toMatchObject({ bundle, handler: "index.handler" });
});
