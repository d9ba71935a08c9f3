import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CliFixture, openCliFixture } from "../cli-fixture.ts";

let cli: CliFixture;
let plain: Record<string, string>;
beforeAll(async () => {
  cli = await openCliFixture({ ADMIN_USERS: "developer", LOCAL_NODES: "c7i.8xlarge=1,g4dn.2xlarge=1" });
  plain = { XDG_CONFIG_HOME: join(cli.state, "second") };
  await cli.run("login");
  await cli.runWith({ env: plain }, "login", "--user", "second");
  await cli.runWith({ env: plain }, "up", "-t", "cpu", "theirs");
});
afterAll(() => cli.close());

const asPlain = (...words: string[]) => cli.runWith({ env: plain }, ...words);

const everyCommand = [
  ["jobs"],
  ["end", "no-such-job", "--yes"],
  ["pools"],
  ["users"],
  ["deliveries"],
  ["drain", "t4", "--yes"],
  ["undrain", "t4"],
  ["pause", "--yes"],
  ["resume"],
  ["orphans"],
  ["audit"],
  ["user", "disable", "developer", "--yes"],
  ["user", "enable", "developer"],
  ["node", "ls"],
  ["node", "gone", "node-1", "--yes"],
  ["node", "back", "node-1"],
];

test("help shows the commands of operators only to operators", async () => {
  expect((await cli.run("--help")).stdout).toMatch(/^ {2}berth admin /m);
  expect((await asPlain("--help")).stdout).not.toContain("admin");
  expect((await cli.runWith({ env: { XDG_CONFIG_HOME: join(cli.state, "nobody") } }, "--help")).stdout).not.toContain(
    "admin",
  );
  expect((await asPlain("__complete", "ad")).stdout).toBe("");
});

test.each(everyCommand.map((words) => ({ words })))(
  "to a user who is no operator, admin $words is a path that does not exist",
  async ({ words }) => {
    const { code, stdout, stderr } = await asPlain("admin", ...words);
    const unknown = await asPlain("api", "/v1/no-such-path");

    const sentence = (text: string) => text.split("\n")[0];
    expect([code, stdout]).toEqual([unknown.code, ""]);
    expect(sentence(stderr)).toBe(sentence(unknown.stderr));
  },
);

test("an operator says why a type is drained, and all operators read it", async () => {
  await cli.run("admin", "drain", "t4", "--yes", "--reason", "New \u202edriver");

  expect((await cli.run("admin", "pools", "t4")).stdout).toMatch(
    /^t4 .* drained since .* by developer: New \S*driver$/m,
  );
  await cli.run("admin", "undrain", "t4");
  expect(await cli.run("admin", "drain", "t4", "--yes", "--reason", "x".repeat(201))).toMatchObject({ stdout: "" });
  expect((await cli.run("admin", "pools", "t4")).stdout).toMatch(/^t4 .* open$/m);
});

test("an operator drains one machine and one zone of a type, and reads both in the list of types", async () => {
  const [node] = JSON.parse((await cli.run("admin", "node", "--json")).stdout) as { node: string; zone: string }[];
  if (!node) throw new Error("no machine");
  const { node: name, zone, gpu_type: type } = node as typeof node & { gpu_type: string };
  const drained = await cli.run("admin", "drain", type, "--node", name, "--yes", "--reason", "Its fan is loud");
  await cli.run("admin", "drain", type, "--zone", zone, "--yes");

  const pools = (await cli.run("admin", "pools", type)).stdout;

  expect(drained.stdout).toBe(`Paused   no\nDrained  ${type} on ${name}\n`);
  expect(pools).toMatch(new RegExp(`^${type} .* open; ${name} drained since .* by developer: Its fan is loud; `, "m"));
  expect(pools).toMatch(new RegExp(`zone ${zone} drained since`));
  expect(pools).toMatch(new RegExp(`^${name} +${type} +ready, drained `, "m"));
  await cli.run("admin", "undrain", type, "--zone", zone);
  expect((await cli.run("admin", "undrain", type, "--node", name)).stdout).toBe("Paused   no\nDrained  none\n");
  expect(await cli.run("admin", "drain", type, "--node", "no-such-node", "--yes")).toMatchObject({ code: 3 });
});

test("an operator plans a drain by a time or a duration, reads it in the list of types, and drops it", async () => {
  const time = new Date(Date.now() + 7_200_000).toISOString().replace(/\.\d+Z$/, "Z");
  const why = ["--yes", "--reason", "New switch"];
  expect(await cli.run("admin", "drain", "t4", "--at", "90m")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--yes"),
  });
  const planned = await cli.run("admin", "drain", "t4", "--at", time, ...why);
  await cli.run("admin", "drain", "cpu-x86", "--at", "1.5h", "--yes");
  const pools = (await cli.run("admin", "pools")).stdout;

  expect(planned.stdout).toBe(`Paused   no\nDrained  none\nPlanned  t4 at ${time}\n`);
  expect(pools).toMatch(new RegExp(`^t4 .* open; the type drains at ${time} by developer: New switch$`, "m"));
  expect(pools).toMatch(/^cpu-x86 .* open; the type drains at \d{4}-\S+Z by developer$/m);
  for (const at of ["noon", "2026-13-40T00:00:00Z", "2026-01-20 18:30"])
    expect(await cli.run("admin", "drain", "t4", "--at", at, "--yes")).toMatchObject({ code: 2, stdout: "" });
  expect(await cli.run("admin", "drain", "t4", "--at", "2020-01-01T00:00:00Z", "--yes")).toMatchObject({ code: 2 });
  await cli.run("admin", "undrain", "cpu-x86");
  expect((await cli.run("admin", "undrain", "t4")).stdout).toBe("Paused   no\nDrained  none\n");
});

test("an operator sees the jobs of all users and the machines", async () => {
  expect((await cli.run("admin", "jobs")).stdout).toMatch(/^USER +ID .*\nsecond +\w{8} +theirs +active +c7i\.8xlarge/);
  expect(JSON.parse((await cli.run("admin", "jobs", "--user", "developer", "--json")).stdout)).toEqual([]);
  expect((await cli.run("admin", "jobs", "--status", "queued,active")).stdout).toMatch(/^second +\w{8} +theirs /m);
  expect(await cli.run("admin", "jobs", "--status", "nosuch")).toMatchObject({ code: 2, stdout: "" });
  expect((await cli.run("admin", "node")).stdout).toMatch(/^NODE +TYPE +ZONE +STATUS +IN USE\n/);
  expect(await cli.run("admin", "orphans")).toMatchObject({ code: 0, stderr: expect.stringMatching(/orphans\.\n$/) });
});

test("an operator drains, pauses and resumes, and the audit records it", async () => {
  expect(await cli.run("admin", "drain", "t4")).toMatchObject({ code: 2, stderr: expect.stringContaining("--yes") });
  expect((await cli.run("admin", "drain", "t4", "--yes")).stdout).toBe("Paused   no\nDrained  t4\n");
  expect(JSON.parse((await cli.run("admin", "pause", "--yes", "--json")).stdout)).toEqual({
    paused: true,
    drained_gpu_types: ["t4"],
    drained_parts: [],
    planned_drains: [],
  });
  expect((await cli.run("admin", "resume")).stdout).toMatch(/^Paused +no\n/);
  expect((await cli.run("admin", "undrain", "t4")).stdout).toMatch(/^Drained +none\n/m);
  expect(await cli.run("admin", "drain", "h9000", "--yes")).toMatchObject({ code: 3, stdout: "" });

  const entries = JSON.parse((await cli.run("admin", "audit", "--limit", "3", "--json")).stdout);
  expect(entries.map(({ operator }: { readonly operator: string }) => operator)).toEqual([
    "developer",
    "developer",
    "developer",
  ]);
  expect((await cli.run("admin", "audit")).stdout).toMatch(/^TIME +OPERATOR +ACTION +TARGET +COUNT +RESULT +REASON\n/);
  expect((await cli.run("admin", "audit")).stdout).toMatch(/ developer +drain_pool +t4 +1 +done/);
});

test("an operator disables and enables a user", async () => {
  expect(await cli.run("admin", "user", "disable", "second")).toMatchObject({ code: 2, stdout: "" });
  expect((await cli.run("admin", "user", "disable", "second", "--yes")).stdout).toBe("second is disabled.\n");
  expect((await asPlain("ls")).code).toBe(4);
  expect((await cli.run("admin", "user", "enable", "second")).stdout).toBe("second is enabled.\n");
  expect((await asPlain("ls")).code).toBe(0);
});

test("an operator sees who holds and who waits for machines, who may log in, and the deliveries that wait", async () => {
  await cli.runWith({ env: plain }, "up", "-t", "cpu", "waits", "--detach");
  const pools = (await cli.run("admin", "pools")).stdout;

  expect(pools).toMatch(/^TYPE +FREE +MACHINES +WAITING +STATE\n/);
  expect(pools).toMatch(/^cpu-x86 +0 of 1 +1 +1 +open$/m);
  expect(pools).toMatch(/^\S+ +cpu-x86 +\w+ +1 of 1 +second +gpu-dev +in \d/m);
  expect(pools).toMatch(/^cpu-x86 +1 +second +waits +gpu-dev +1 /m);
  expect((await cli.run("admin", "pools", "t4")).stdout).not.toContain("cpu-x86");
  expect(await cli.run("admin", "pools", "h9000")).toMatchObject({ code: 2, stdout: "" });
  expect((await cli.run("admin", "users")).stdout).toMatch(/^second +may log in +\d+ +0 +\d{4}-/m);
  expect(await cli.run("admin", "deliveries")).toMatchObject({ code: 0, stdout: "", stderr: "No delivery waits.\n" });
  await cli.runWith({ env: plain }, "cancel", "waits", "--yes");
});

test("an operator declares a machine gone and revokes that", async () => {
  const nodes = JSON.parse((await cli.run("admin", "node", "--json")).stdout) as { node: string; gpu_type: string }[];
  const name = nodes.find(({ gpu_type }) => gpu_type.startsWith("t4"))?.node ?? "";

  expect(await cli.run("admin", "node", "gone", name)).toMatchObject({ code: 2, stdout: "" });
  const gone = await cli.run("admin", "node", "gone", name, "--yes");
  expect([gone.code === 0 ? gone.stdout : gone.stderr]).toEqual([expect.stringContaining(name)]);
  expect(await cli.run("admin", "node", "gone", "no-such-node", "--yes")).toMatchObject({ code: 3, stdout: "" });
});

test("an operator ends a job of a user, who reads the reason", async () => {
  await cli.runWith({ env: plain }, "up", "-t", "cpu", "ended", "--detach");
  const jobs = JSON.parse((await cli.run("admin", "jobs", "--user", "second", "--json")).stdout) as AnyJob[];
  const id = jobs.find(({ name }) => name === "ended")?.job_id ?? "";
  const shortId = id.slice(0, 8);

  expect(await cli.run("admin", "end", shortId)).toMatchObject({ code: 2, stdout: "" });
  for (const empty of ["--user", "--reason"])
    expect(await cli.run("admin", "end", shortId, empty, "", "--yes")).toMatchObject({ code: 2, stdout: "" });
  const end = ["admin", "end", shortId, "--user", "second", "--reason", "Kept idle", "--yes"];
  expect((await cli.run(...end)).stdout).toBe(`The end of ${shortId} is requested.\n`);
  expect(await asPlain("wait", "ended", "--until", "ended")).toMatchObject({ code: 1 });
  expect((await asPlain("show", id)).stdout).toContain("Cancelled by the operator: Kept idle");
  expect(await cli.run("admin", "end", shortId, "--user", "developer", "--yes")).toMatchObject({ code: 3, stdout: "" });
});

interface AnyJob {
  readonly name: string;
  readonly job_id: string;
}
