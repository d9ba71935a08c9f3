import { expect, test } from "vitest";
import { plainJob } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";

const world = await httpWorld();
const key = await world.login();

interface Problem {
  readonly type: string;
  readonly loc: readonly string[];
  readonly msg: string;
  readonly input: unknown;
}

async function listProblems(body: unknown): Promise<readonly Problem[]> {
  const response = await world.request("POST", "/v1/jobs/submit", { key, body });
  expect(response.status).toBe(400);
  return ((await response.json()) as { readonly detail: readonly Problem[] }).detail;
}

const string = ["string_type", "Input should be a valid string"];
const integer = ["int_type", "Input should be a valid integer"];
const least = (n: number) => ["greater_than_equal", `Input should be greater than or equal to ${n}`];
const most = (n: number) => ["less_than_equal", `Input should be less than or equal to ${n}`];
const short = ["string_too_short", "String should have at least 1 characters"];
const long = (n: number) => ["string_too_long", `String should have at most ${n} characters`];
const value = (text: string) => ["value_error", text];
const pattern = (text: string) => ["string_pattern_mismatch", text];
const types =
  "g4dn.12xlarge, g4dn.2xlarge, g6.12xlarge, g5.12xlarge, p4d.24xlarge, p5.48xlarge, p5e.48xlarge, p6-b200.48xlarge, c7i.8xlarge, c7g.8xlarge";
const noSuchType = ["enum", `Input should be one of: ${types}`];
const github = pattern(
  "A GitHub name has 1 to 39 letters, numbers, and single hyphens, and begins and ends with a letter or number",
);
const diskName = pattern("Disk name must contain only letters, numbers, hyphens, and underscores");
const eight = value("p5.48xlarge offers 1, 2, 4, 8, 16, 24, 32, 40, 48, 56, 64 GPUs");

const rows: readonly (readonly [field: string, input: unknown, answer: readonly string[]])[] = [
  ["image", 5, string],
  ["image", null, string],
  ["image", "", short],
  ["image", "x".repeat(513), long(512)],
  ["image", "a b", pattern("Image must not contain white space or control characters")],
  ["image", "a\u0000b", pattern("Image must not contain white space or control characters")],
  ["image", "UPPER/Case", pattern("Image must not have capital letters in its repository")],
  ["image", "docker://ubuntu", pattern("Image must not begin with a scheme such as docker://")],
  ["image", "[::1]:5000/x", pattern("Image must not name its registry by an address in brackets")],
  ["image", "a\u00a0b", pattern("Image must not contain white space or control characters")],
  ["instance_type", "p3.2xlarge", noSuchType],
  ["instance_type", "P5.48XLARGE", noSuchType],
  ["instance_type", "__proto__", noSuchType],
  ["instance_type", 7, noSuchType],
  ["duration_hours", 0, least(0.083)],
  ["duration_hours", -1, least(0.083)],
  ["duration_hours", 0.01, least(0.083)],
  ["duration_hours", 73, most(72)],
  ["duration_hours", "x", ["float_type", "Input should be a valid number"]],
  ["duration_hours", "2", ["float_type", "Input should be a valid number"]],
  ["duration_hours", [1], ["float_type", "Input should be a valid number"]],
  ["disk_name", "", diskName],
  ["disk_name", "..", diskName],
  ["disk_name", "a/b", diskName],
  ["disk_name", "a\u0000", diskName],
  ["disk_name", "data\n", diskName],
  ["disk_name", "x".repeat(65), diskName],
  ["disk_name", 5, string],
  ["disk_size_gb", 9, least(10)],
  ["disk_size_gb", 10_001, most(10_000)],
  ["disk_size_gb", 10.5, integer],
  ["disk_size_gb", "100", integer],
  ["command", 5, string],
  ["command", "a\u0000b", value("Must not contain NUL")],
  ["gpu_type", 5, string],
  ["gpu_type", "a100", value("p5.48xlarge has GPUs of type h100")],
  ["gpu_type", "H100", value("p5.48xlarge has GPUs of type h100")],
  ["gpu_count", 0, eight],
  ["gpu_count", -1, eight],
  ["gpu_count", 3, eight],
  ["gpu_count", 12, eight],
  ["gpu_count", 2.5, integer],
  ["gpu_count", "8", integer],
  ["name", "", short],
  ["name", 5, string],
  ["name", "a\nb", pattern("Name must be printable")],
  ["name", "a\u2028b", pattern("Name must be printable")],
  ["name", "\u3164", pattern("Name must be printable")],
  ["name", "\u2800", pattern("Name must be printable")],
  ["name", " ", value("Name must not be blank")],
  ["name", "\u2003 ", value("Name must not be blank")],
  ["name", "a\u0000b", pattern("Name must be printable")],
  ["on_interruption", "retry", ["enum", "Input should be one of: fail, requeue"]],
  ["min_duration_hours", 0, least(0.083)],
  ["min_duration_hours", 1.5, value("min_duration_hours is at most duration_hours")],
  ["grace_seconds", 0, least(1)],
  ["grace_seconds", 301, most(300)],
  ["on_interruption", true, ["enum", "Input should be one of: fail, requeue"]],
  ["github_user", "-a", github],
  ["github_user", "a-", github],
  ["github_user", "a--b", github],
  ["github_user", "a".repeat(40), github],
  ["github_user", 5, string],
];

test.each(rows)("400 for %s: %j", async (field, input, [type, msg]) => {
  const shown = typeof input === "string" && input.length > 200 ? `${input.slice(0, 200)}…` : input;

  const problems = await listProblems({ ...plainJob, [field]: input });

  expect(problems).toEqual([{ type, loc: ["body", field], msg, input: shown }]);
});

const badName = pattern(
  "Names of variables must contain only letters, numbers, and underscores, and not begin with a number",
);
const reserved = value("This name is reserved");
const variables: readonly (readonly [name: string, input: unknown, answer: readonly string[]])[] = [
  ...["", "1A", "A B", "A-B", "Ä", "A\u0000", "💥", ".."].map((name) => [name, "hunter2", badName] as const),
  ...["PATH", "LD_PRELOAD", "LD_", "KUBERNETES_SERVICE_HOST", "AWS_SECRET_ACCESS_KEY", "AWS_"].map(
    (name) => [name, "hunter2", reserved] as const,
  ),
  ...[null, {}, ["hunter2"]].map((input) => ["A", input, string] as const),
  ["A", "hunter2\u0000", value("Must not contain NUL")],
  ["__proto__", "hunter2", value("This name is reserved")],
  ["GPU_TYPE", "a100", value("p5.48xlarge has GPUs of type h100")],
  ...["3", "x", "", "-1", "8.0", " 8", "08x"].map((count) => ["GPU_COUNT", count, eight] as const),
  ["GITHUB_USER", "-hunter2", github],
  ...["maybe", "2", "truee", "✓"].map(
    (text) => ["JUPYTER_ENABLED", text, value("JUPYTER_ENABLED must be true or false")] as const,
  ),
];

test.each(variables)(
  "400 for the variable %j: %j, without its value in the answer",
  async (name, input, [type, msg]) => {
    const problems = await listProblems({ ...plainJob, env_vars: { [name]: input, FINE: "hunter2" } });

    expect(problems).toEqual([{ type, loc: ["body", "env_vars", name], msg, input: "***" }]);
  },
);

test.each([
  ["a list", [], ["dict_type", "Input should be a valid dictionary"], "***"],
  ["a text", "hunter2", ["dict_type", "Input should be a valid dictionary"], "***"],
  [
    "101 entries",
    Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`A${n}`, "hunter2"])),
    value("At most 100 variables are allowed"),
    expect.anything(),
  ],
  ["33 KB", { A: "h".repeat(33_000) }, value("At most 32 KiB in all are allowed"), { A: "***" }],
])("400 for env_vars that are %s", async (_, input, [type, msg], shown) => {
  const problems = await listProblems({ ...plainJob, env_vars: input });

  expect(problems).toEqual([{ type, loc: ["body", "env_vars"], msg, input: shown }]);
  expect(JSON.stringify(problems)).not.toMatch(/hunter2|hhhh/);
});

test("the error for an overlong name or command is short", async () => {
  const problems = await listProblems({ ...plainJob, command: "c".repeat(16_385), name: "n".repeat(10_000) });

  expect(problems.map(({ type, msg }) => [type, msg])).toEqual([value("At most 16 KiB are allowed"), long(128)]);
  expect(JSON.stringify(problems).length).toBeLessThan(1_000);
});

test("all bad fields are reported at once, in the order of the table, including contradictions", async () => {
  const problems = await listProblems({ gpu_count: 3, gpu_type: "a100", image: 5, instance_type: "p5.48xlarge" });

  expect(problems.map(({ loc }) => loc[1])).toEqual(["image", "gpu_type", "gpu_count"]);
});

test("without a required field the error shows the whole body except its secrets", async () => {
  const env_vars = { TOKEN: "hunter2", 5: "hunter2" };

  const problems = await listProblems({ env_vars, api_key: "hunter2", name: "x" });

  const input = { env_vars: { TOKEN: "***", 5: "***" }, api_key: "***", name: "x" };
  expect(problems.slice(0, 2)).toEqual([
    { type: "missing", loc: ["body", "image"], msg: "Field required", input },
    { type: "missing", loc: ["body", "instance_type"], msg: "Field required", input },
  ]);
  expect(JSON.stringify(problems)).not.toContain("hunter2");
});

test.each([
  ["gpus", "gpu_count"],
  ["gpu_cnt", "gpu_count"],
  ["enable_jupyter", "jupyter_enabled"],
])("a field %s is reported as a misspelling of %s, without its value", async (name, meant) => {
  const problems = await listProblems({ ...plainJob, [name]: "hunter2", gpu_type: "a100", [`x_${name}`]: 1 });

  const msg = `There is no field of this name. Did you mean ${meant}?`;
  expect(problems.map(({ type, loc, input }) => [type, loc[1], input])).toEqual([
    ["value_error", "gpu_type", "a100"],
    ["value_error", name, "***"],
  ]);
  expect(problems[1]?.msg).toBe(msg);
});

test("an unknown field that resembles no known one is accepted, as from a newer client", async () => {
  const body = { ...plainJob, cli_version: "0.9.1", preserve_entrypoint: true, cpu_count: 4 };

  expect((await world.request("POST", "/v1/jobs/submit", { key, body })).status).toBe(200);
});

test.each(["environment", "env-vars", "webhook_ur", "hf_token", "constructor", "toString"])(
  "no problem repeats the value of a field %s",
  async (name) => {
    const problems = await listProblems({ [name]: { TOKEN: "hunter2" }, image: { [name]: "hunter2" }, name: "shown" });

    expect(problems.find(({ type }) => type === "missing")?.input).toEqual({
      [name]: "***",
      image: { [name]: "***" },
      name: "shown",
    });
    expect(JSON.stringify(problems)).not.toContain("hunter2");
  },
);

test("a job can be resubmitted from its own answer, with its image", async () => {
  const first = await world.request("POST", "/v1/jobs/submit", { key, body: plainJob });
  const { job_id } = (await first.json()) as { readonly job_id: string };
  const job = (await (await world.request("GET", `/v1/jobs/${job_id}`, { key })).json()) as object;

  const again = await world.request("POST", "/v1/jobs/submit", { key, body: { ...job, image: plainJob.image } });

  expect([again.status, await again.json()]).toMatchObject([200, { status: "queued" }]);
});

test.each([" ", "\t", "\n", ""])("a blank POD_NAME counts as missing: %j", async (POD_NAME) => {
  const body = { ...plainJob, env_vars: { POD_NAME } };
  const response = await world.request("POST", "/v1/jobs/submit", { key, body });
  const { job_id } = (await response.json()) as { readonly job_id: string };

  const job = (await (await world.request("GET", `/v1/jobs/${job_id}`, { key })).json()) as { readonly name: string };
  expect([response.status, job.name]).toEqual([200, `gpu-dev-${job_id.slice(0, 8)}`]);
});

test("too many unknown fields are refused with a message", async () => {
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`x${n}`, "hunter2"]));

  const problems = await listProblems({ ...plainJob, ...many });

  const msg = "At most 100 fields with unknown names are allowed";
  expect(problems).toEqual([{ type: "value_error", loc: ["body"], msg, input: "***" }]);
});

test.each([
  ["c7i.8xlarge", 1, "c7i.8xlarge offers 0 GPUs"],
  ["p5.48xlarge", 72, "p5.48xlarge offers 1, 2, 4, 8, 16, 24, 32, 40, 48, 56, 64 GPUs"],
  ["g5.12xlarge", 6, "g5.12xlarge offers 1, 2, 4, 8, 12, 16, 20, 24, 28, 32 GPUs"],
  ["g5.12xlarge", 36, "g5.12xlarge offers 1, 2, 4, 8, 12, 16, 20, 24, 28, 32 GPUs"],
  ["g4dn.2xlarge", 9, "g4dn.2xlarge offers 1, 2, 3, 4, 5, 6, 7, 8 GPUs"],
])("%s does not offer %i GPUs", async (instance_type, gpu_count, msg) => {
  const problems = await listProblems({ ...plainJob, instance_type, gpu_count });

  expect(problems).toEqual([{ type: "value_error", loc: ["body", "gpu_count"], msg, input: gpu_count }]);
});

test.each(["my-data", "A_1", "x".repeat(64), "-", "__proto__", null])(
  "the disk name %j is accepted",
  async (disk_name) => {
    const response = await world.request("POST", "/v1/jobs/submit", { key, body: { ...plainJob, disk_name } });
    const { job_id } = (await response.json()) as { readonly job_id: string };

    const job = await (await world.request("GET", `/v1/jobs/${job_id}`, { key })).json();
    expect([response.status, job]).toMatchObject([200, { disk_name }]);
  },
);

test.each([
  ["true", true],
  [true, true],
  ["false", false],
  ["", false],
])("the variable JUPYTER_ENABLED of old clients accepts %j", async (JUPYTER_ENABLED, wanted) => {
  const body = { ...plainJob, env_vars: { JUPYTER_ENABLED } };
  const response = await world.request("POST", "/v1/jobs/submit", { key, body });
  const { job_id } = (await response.json()) as { readonly job_id: string };

  const record = world.table.all().find(({ sk }) => sk === job_id) as unknown as { access: { jupyter: object | null } };
  expect([response.status, record.access.jupyter !== null]).toEqual([200, wanted]);
});

const getBlob = (bytes: number) => {
  const type = Buffer.from("ssh-ed25519");
  return Buffer.concat([
    Buffer.from([0, 0, 0, type.length]),
    type,
    Buffer.from([0, 0, 0, bytes]),
    Buffer.alloc(bytes, "b"),
  ]);
};
const formatKey = (comment = "") => `ssh-ed25519 ${getBlob(32).toString("base64")}${comment}`;
const noKey = value("Input should be one public SSH key in one line, without options");

test.each([
  ["11 keys", Array.from({ length: 11 }, () => formatKey()), [], value("Input should have at most 10 entries")],
  ["a key of 4,097 characters", [formatKey(` ${"c".repeat(4_096 - formatKey().length)}`)], [0], long(4_096)],
  ["a key of 900 KB", ["k".repeat(900_000)], [0], long(4_096)],
  ["an invalid key", [formatKey(), "ssh-ed25519 AAAA"], [1], noKey],
  ["a text", formatKey(), [], value("Input should be a valid array")],
])("400 for ssh_public_keys with %s, without the keys in the answer", async (_, ssh_public_keys, at, [type, msg]) => {
  const problems = await listProblems({ ...plainJob, ssh_public_keys });

  expect(problems).toEqual([{ type, loc: ["body", "ssh_public_keys", ...at], msg, input: "***" }]);
});

test("ten keys of 4,096 characters each are accepted", async () => {
  const longest = formatKey(` ${"c".repeat(4_095 - formatKey().length)}`);

  expect(longest).toHaveLength(4_096);
  const body = { ...plainJob, ssh_public_keys: Array.from({ length: 10 }, () => longest) };
  expect((await world.request("POST", "/v1/jobs/submit", { key, body })).status).toBe(200);
});
