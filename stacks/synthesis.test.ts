import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import functionsFile from "../functions.json" with { type: "json" };
import type { FunctionsFile } from "./functions-file.ts";
import { type Check, checks, ofType } from "./synthesis/checks.ts";
import { permissionChecks } from "./synthesis/permission-checks.ts";
import { type Resource, synthesize } from "./synthesis/synthesize.ts";

const functions = (functionsFile as FunctionsFile).filter(({ kind }) => kind !== "socket");
const settings = { DOMAIN: "berth.dev", ALLOWED_ACCOUNTS: "111111111111", ALLOWED_ROLES: "Dev", EKS_CLUSTER: "gpus" };
const all: Readonly<Record<string, Check>> = { ...checks, ...permissionChecks };
/** A minute where nothing else runs. */
const LONG_MS = 600_000;
let resources: readonly Resource[];

beforeAll(async () => {
  resources = await synthesize("ci", settings);
}, LONG_MS);

test.each(Object.keys(all))("%s are as they should be", (name) => {
  expect(all[name]?.(resources, functions)).toEqual([]);
});

test("every bundle is a module and what it reads, without a source map", () => {
  const files = functions.flatMap(({ name }) => readdirSync(new URL(`../dist/${name}`, import.meta.url)));

  expect([...new Set(files)].toSorted()).toEqual(["assets", "index.mjs"]);
});

test(
  "a production stage keeps its table",
  async () => {
    const [table] = ofType(await synthesize("production", settings), "aws:dynamodb/table:Table");

    expect(table?.inputs).toMatchObject({ name: "berth-production", deletionProtectionEnabled: true });
  },
  LONG_MS,
);

test(
  "a stage without its settings is not made",
  async () => {
    await expect(synthesize("ci", {})).rejects.toThrow("ALLOWED_ACCOUNTS must be set");
  },
  LONG_MS,
);

describe("a planted fault is caught", () => {
  /** What one of the resources is changed to; undefined: it is not made. */
  type Fault = (resource: Resource) => Resource | undefined;

  const change = (
    type: string,
    name: RegExp,
    to: (inputs: Resource["inputs"]) => Resource["inputs"] | undefined,
  ): Fault => {
    return (resource) => {
      if (resource.type !== type || !name.test(resource.name)) return resource;
      const inputs = to(structuredClone(resource.inputs));
      return inputs && { ...resource, inputs };
    };
  };
  const route = "aws:apigatewayv2/route:Route";
  const distribution = "aws:cloudfront/distribution:Distribution";
  const lambda = "aws:lambda/function:Function";
  const role = "aws:iam/role:Role";
  const queue = "aws:sqs/queue:Queue";
  const table = "aws:dynamodb/table:Table";
  const unless = (isFault: boolean, inputs: Resource["inputs"]) => (isFault ? undefined : inputs);
  const widen = (inputs: Resource["inputs"], from: string, to: string) => {
    inputs.inlinePolicies[0].policy = inputs.inlinePolicies[0].policy.replace(from, to);
    return inputs;
  };

  const faults: Readonly<Record<string, readonly [keyof typeof all, Fault]>> = {
    "a removed DLQ": ["queues", change(queue, /^WorkQueue$/, ({ redrivePolicy, ...inputs }) => inputs)],
    "a queue for nobody": ["queues", change(queue, /^ShellDeadQueue$/, () => undefined)],
    "a pool held back": [
      "queues",
      change(queue, /^PoolsQueue$/, (inputs) => ({ ...inputs, visibilityTimeoutSeconds: 360 })),
    ],
    "a missing route": [
      "routes",
      change(route, /./, (inputs) => unless(inputs.routeKey === "POST /v1/jobs/submit", inputs)),
    ],
    "no route for HEAD": [
      "routes",
      change(route, /./, (inputs) => unless(inputs.routeKey === "HEAD /v1/jobs", inputs)),
    ],
    "no default route": ["routes", change(route, /./, (inputs) => unless(inputs.routeKey === "$default", inputs))],
    "a wrong index": [
      "table",
      change(table, /./, (inputs) => {
        inputs.globalSecondaryIndexes[0].hashKey = "pk";
        return inputs;
      }),
    ],
    "no TTL": ["table", change(table, /./, ({ ttl, ...inputs }) => inputs)],
    "a cache": [
      "edge",
      change(distribution, /./, (inputs) => {
        inputs.orderedCacheBehaviors[0].cachePolicyId = "658327ea-f89d-4fab-a63d-7e88639e58f6";
        return inputs;
      }),
    ],
    "a behaviour without the edge's function": [
      "edge",
      change(distribution, /./, (inputs) => {
        inputs.orderedCacheBehaviors[1].functionAssociations = [];
        return inputs;
      }),
    ],
    "an action with a star": [
      "roles",
      change(role, /^EndpointTable$/, (inputs) => widen(inputs, "dynamodb:GetItem", "dynamodb:*")),
    ],
    "a role for any table": [
      "roles",
      change(role, /^EndpointTable$/, (inputs) => widen(inputs, "table/berth-ci/index/*", "table/*")),
    ],
    "the account trusted": [
      "roles",
      change(role, /^EndpointTable$/, (inputs) => ({
        ...inputs,
        assumeRolePolicy: inputs.assumeRolePolicy.replace(
          /"Service":"[^"]*"/,
          '"AWS":"arn:aws:iam::123456789012:root"',
        ),
      })),
    ],
    "a table without a name": [
      "environments",
      change(lambda, /^GpuDevJobsGetFunction$/, (inputs) => {
        delete inputs.environment.variables.TABLE_NAME;
        return inputs;
      }),
    ],
    "a secret where nobody uses it": [
      "environments",
      change(lambda, /^SharedLiveFunction$/, (inputs) => {
        inputs.environment.variables.WEBHOOK_SECRET = "secret";
        return inputs;
      }),
    ],
    "pages of other origins": [
      "urls",
      change("aws:lambda/functionUrl:FunctionUrl", /Runsh/, (inputs) => ({ ...inputs, cors: { allowOrigins: ["*"] } })),
    ],
    "whole batches again": [
      "consumers",
      change(
        "aws:lambda/eventSourceMapping:EventSourceMapping",
        /^Work/,
        ({ functionResponseTypes, ...inputs }) => inputs,
      ),
    ],
    "a schedule that is lost": [
      "schedules",
      change("aws:scheduler/schedule:Schedule", /Sweep/, ({ target, ...inputs }) => ({
        ...inputs,
        target: { ...target, deadLetterConfig: undefined },
      })),
    ],
    "paths in the log": [
      "accessLog",
      change("aws:apigatewayv2/stage:Stage", /./, (inputs) => ({
        ...inputs,
        accessLogSettings: { format: "$context.path" },
      })),
    ],
    "a function less": ["functions", change(lambda, /^GpuDevJobsGetFunction$/, () => undefined)],
  };

  test.each(Object.entries(faults))("%s", (_, [check, fault]) => {
    const faulty = resources.flatMap((resource) => fault(resource) ?? []);

    expect(JSON.stringify(faulty)).not.toBe(JSON.stringify(resources));
    expect(all[check]?.(faulty, functions)).not.toEqual([]);
  });
});
