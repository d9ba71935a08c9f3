import { expect, test } from "vitest";
import { Submission } from "#functions/gpu-dev/jobs/internal/submission.ts";
import { testSettings } from "#tests/fixtures/settings.ts";
import { misspelt as usual } from "../dialects/gpu-dev.ts";
import { fieldNames } from "../schema.ts";
import * as misspelt from "./unknown-fields.ts";

type Input = Readonly<Record<string, unknown>>;
const misspeltIn = (fields: readonly string[], body: Input) => misspelt.misspeltIn(fields, body, usual);
const misspeltFields = (fields: readonly string[], body: Input) =>
  misspelt.misspeltFields(fields, body, { misspelt: usual });

const ownNames = fieldNames(Submission(testSettings()));

test.each([
  ["gpus", "gpu_count"],
  ["gpu_cnt", "gpu_count"],
  ["gpuCount", "gpu_count"],
  ["GPU_COUNT", "gpu_count"],
  ["gpu_cuont", "gpu_count"],
  ["num_gpus", "gpu_count"],
  ["iamge", "image"],
  ["instanceType", "instance_type"],
  ["duration", "duration_hours"],
  ["duration_hour", "duration_hours"],
  ["comand", "command"],
  ["cmd", "command"],
  ["env", "env_vars"],
  ["ssh_public_key", "ssh_public_keys"],
  ["webhook_uri", "webhook_url"],
  ["jupyter", "jupyter_enabled"],
  ["jupyterEnabled", "jupyter_enabled"],
  ["enableJupyter", "jupyter_enabled"],
])("%s is reported as a misspelling of %s", (name, meant) => {
  expect(misspeltIn(ownNames, { [name]: 1 })).toEqual([{ name, meant }]);
});

test.each([
  ...["cpu_count", "comment", "user_id", "pod_name", "job_name", "cli_version", "version", "dockerfile", "labels"],
  ...[
    "no_persistent_disk",
    "recreate_env",
    "priority",
    "node_ip",
    "status",
    "gpu_memory",
    "disk_type",
    "",
    "__proto__",
  ],
  ...["constructor", "💥", "x".repeat(100_000)],
])("a different field is ignored: %s", (name) => {
  expect(misspeltIn(ownNames, JSON.parse(`{${JSON.stringify(name)}: 1}`))).toEqual([]);
});

test("a misspelling that is empty or beside the correct field is not reported", () => {
  expect(misspeltIn(ownNames, { gpus: null, gpu_count: null })).toEqual([]);
  expect(misspeltIn(ownNames, { gpus: 2, gpu_count: 2 })).toEqual([]);
  expect(misspeltIn(ownNames, { enable_jupyter: true, jupyter_enabled: true })).toEqual([]);
  expect(misspeltIn(ownNames, { enable_jupyter: true, env_vars: { JUPYTER_ENABLED: "true" } })).toHaveLength(1);
});

test.each([[false], [null], [""], [{}], [[]]])("a misspelling with the empty value %j is not reported", (value) => {
  expect(misspeltIn(ownNames, { enable_jupyter: value, env: value, gpus: value })).toEqual([]);
});

test("environment is a misspelling of env_vars only if it contains variables", () => {
  expect(misspeltIn(ownNames, { environment: { A: "1" } })).toEqual([{ name: "environment", meant: "env_vars" }]);
  expect(misspeltIn(ownNames, { environment: "production" })).toEqual([]);
});

test("a distant misspelling counts only if its field belongs to the body", () => {
  expect(misspeltIn(["disk_name", "size_gb"], { size: 5, gpus: 5, hours: 5 })).toEqual([
    { name: "size", meant: "size_gb" },
  ]);
});

test.each([
  [["disk_name", "size_gb"], "disk_size_gb", "size_gb"],
  [["disk_name", "size_gb"], "name", "disk_name"],
  [ownNames, "size_gb", "disk_size_gb"],
  [["new_name"], "name", "new_name"],
  [["new_name"], "disk_name", "new_name"],
  [["snapshot_id", "new_name"], "name", "new_name"],
  [["extension_hours"], "hours", "extension_hours"],
  [["extension_hours"], "duration_hours", "extension_hours"],
  [["github_username", "public_key"], "github_user", "github_username"],
  [["github_username", "public_key"], "username", "github_username"],
  [["github_username", "public_key"], "ssh_public_key", "public_key"],
  [["github_username", "public_key"], "ssh_public_keys", "public_key"],
  [["status", "limit", "offset"], "statuss", "status"],
  [["tail"], "lines", "tail"],
])("for %j, the sibling's field %s is reported as %s", (fields, name, meant) => {
  expect(misspeltIn(fields, { [name]: 1 })).toEqual([{ name, meant }]);
});

const named = (count: number, prefix: string) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`${prefix}${n}`, 1]));

test("a misspelling after ninety-nine other fields is found", () => {
  const answer = misspeltFields(ownNames, { ...named(99, "other_"), gpus: 1 });

  expect(answer.map(({ path, input }) => [path, input])).toEqual([[["body", "gpus"], "***"]]);
});

test("more than a hundred unknown fields are refused as a whole", () => {
  const refused = ["other_", "gpu_coun"].map((prefix) => misspeltFields(ownNames, named(101, prefix)));

  const message = "At most 100 fields with unknown names are allowed";
  const entry = { type: "value_error", path: ["body"], message, input: "***" };
  expect(refused).toEqual([[entry], [entry]]);
  expect(misspeltFields(ownNames, named(100, "other_"))).toEqual([]);
});

test("a hundred spellings of one field read only their own values and the known field", () => {
  const spellings = Array.from(
    { length: 100 },
    (_, n) => `${"_".repeat(n % 10)}jupyter${"-".repeat(Math.floor(n / 10))}`,
  );
  let reads = 0;
  const counted = (fields: object) =>
    new Proxy(fields, {
      get: (target, name) => {
        reads += 1;
        return Reflect.get(target, name);
      },
    });
  const large = counted(Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [n, "x"])));
  const body = counted({ env_vars: large, ...Object.fromEntries(spellings.map((name) => [name, 1])) });

  const answer = misspeltIn(ownNames, body as Input);

  expect(answer).toHaveLength(100);
  expect(reads).toBeLessThanOrEqual(300);
});
