import { wholeNode } from "../core/jobs.ts";
import type { Measure, Row } from "../measure.ts";
import { type LocalStack, readCpu, withStack } from "./local-stack.ts";

const keys = 60_000;
const perBody = 10;
const mostMs = 300;

const plainJob = { image: "ubuntu", instance_type: wholeNode.type };
const plainSession = { template: "python", namespace: "bench", user: "developer" };

/** Invalid bodies of creates, by the part that makes them large. */
const bodies: readonly (readonly [what: string, path: string, body: object])[] = [
  ...["/v1/jobs/submit", "/v1/disks", "/v1/auth/aws-login", "/session/create", "/v1/sessions"].map(unknownFields),
  ...["/v1/cloudrun/workspaces", "/api/instances", "/api/v1/environments"].map(unknownFields),
  ["variables", "/v1/jobs/submit", { ...plainJob, env_vars: getMany(1) }],
  ["variables without a value", "/v1/jobs/submit", { ...plainJob, env_vars: getMany(null) }],
  ["variables without a value", "/v1/sessions", { ...plainSession, env: getMany(null) }],
  [
    "headers without a value",
    "/v1/auth/aws-login",
    { iam_request_url: "https://x/", iam_request_headers: getMany(null) },
  ],
];

/** CPU time of the embedded stack for refusing the largest bodies (Linux). Reports the most expensive one. */
export const refusals: Measure = {
  name: "refusals",
  run: () => withStack(`${wholeNode.type}=1`, measure),
};

async function measure(stack: LocalStack): Promise<Row[]> {
  const costs: { readonly ms: number; readonly of: string }[] = [];
  for (const [subject, path, body] of bodies) {
    const begun = readCpu(stack.pid);
    for (let n = 0; n < perBody; n += 1) await refused(stack, path, body);
    costs.push({ ms: (readCpu(stack.pid) - begun) / perBody, of: `${subject} to ${path}` });
  }
  const dearest = costs.reduce((left, right) => (right.ms > left.ms ? right : left));
  const note = `${dearest.of}: the dearest of ${bodies.length}, mean of ${perBody}`;
  return [{ name: `refusing a body of ${keys} keys: CPU`, value: dearest.ms, unit: "ms", limit: mostMs, note }];
}

function unknownFields(path: string): readonly [string, string, object] {
  return ["unknown fields", path, getMany(1)];
}

function getMany(value: unknown): object {
  return Object.fromEntries(Array.from({ length: keys }, (_, n) => [`key${n}`, value]));
}

async function refused(stack: LocalStack, path: string, body: object): Promise<void> {
  const answer = await stack.call("POST", path, body).catch((error: Error) => error.message);
  if (typeof answer !== "string" || !answer.includes(" answered 400: ")) throw new Error(`${path}: ${answer}`);
}
