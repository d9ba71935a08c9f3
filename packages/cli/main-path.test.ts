import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";

let cli: CliFixture;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "p5.48xlarge=1,c7i.8xlarge=4" });
});
afterAll(() => cli.close());

test("a job is started, entered by SSH, read, extended and ended", async () => {
  expect(await cli.run("login")).toMatchObject({
    code: 0,
    stdout: `Logged in to ${cli.running.url} as developer. The key lives for 2 h.\n`,
    stderr: "",
  });

  const up = await cli.run(
    "up",
    "first",
    "--type",
    "cpu",
    "--disk",
    "data",
    "--min-hours",
    "30m",
    "--",
    "echo started; sleep 3600",
  );
  expect(up).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Job +first \(\w{8}\)\nState +active/) });
  expect(up.stderr).toMatch(/^Submitted first/);

  expect((await cli.run("ls")).stdout).toMatch(/^ID +NAME +STATUS .*\n\w{8} +first +active +\S+ +data +1 h left\n$/);
  expect((await cli.run("logs")).stdout).toBe("started\n");
  const shown = (await cli.run("show", "firs")).stdout;
  expect(shown).toMatch(/\nTimeline\n[\s\S]* queued [\s\S]* active /);
  expect(shown).toMatch(/\nLeast time +0\.5 h, on machines that close before its end\n/);
  expect((await cli.run("extend", "90m")).stdout).toMatch(/^first \(\w{8}\) has 2\.5 h and ends at .*Z\.\n$/);

  const answer = await cli.run("ssh", "first", "--", "cat > told; cat told; pwd; exit 3");
  expect(answer).toMatchObject({ code: 3, stdout: "/workspace\n" });
  expect(await cli.runWith({ input: "hello" }, "ssh", "first", "--", "cat")).toMatchObject({
    code: 0,
    stdout: "hello",
  });

  expect(await cli.run("end", "first")).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Ended first \(/) });
  expect(await cli.run("wait", "first", "--until", "ended")).toMatchObject({ code: 1, stdout: "" });
});

test("a job whose command ends by itself is waited for, and its whole log followed", async () => {
  await cli.run("login");
  const { code, stdout } = await cli.run(
    "up",
    "-d",
    "-t",
    "cpu",
    "counts",
    "--",
    "for i in 1 2 3; do echo $i; sleep 0.3; done",
  );
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^[0-9a-f-]{36}\n$/)]);

  expect(await cli.run("logs", "-f", "counts")).toMatchObject({ code: 0, stdout: "1\n2\n3\n" });
  expect(await cli.run("wait", "counts", "--until", "ended")).toMatchObject({ code: 0 });
});

test("--json prints only the objects of the API on standard output", async () => {
  await cli.run("login");
  const up = await cli.run("up", "--json", "--type", "cpu", "as-json");
  const states = up.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(states.at(-1)).toMatchObject({ name: "as-json", status: "active" });

  const inOrder = [["ls"], ["show", "as-json"], ["avail"], ["me"], ["extend", "as-json", "1"], ["end", "as-json"]];
  const answers: unknown[] = [];
  for (const words of inOrder) answers.push(JSON.parse((await cli.run(...words, "--json")).stdout));

  const [jobs, job, free, me, extended, ended] = answers;
  expect(jobs).toHaveProperty("0.job_id");
  expect(job).toHaveProperty("timeline");
  expect(free).toHaveProperty("availability.h100.total", 8);
  expect(me).toHaveProperty("username", "developer");
  expect(extended).toHaveProperty("job_id");
  expect(ended).toHaveProperty("action", "cancel");
});

test("Ctrl-C in up leaves the job in the queue, and says how to reattach and how to end it", async () => {
  await cli.run("login");
  await cli.run("up", "-d", "-t", "h100", "-g", "8", "blocks");
  const { job_id: blocking } = await cli.berth.jobs.get((await found("blocks")).job_id);
  await cli.berth.jobs.wait(blocking, { until: "active" });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const up = cli.start({}, "up", "-t", "h100", "-g", "8", `waits-${signal}`);
    await up.says(/queued #\d/);
    up.child.kill(signal);

    const { code, stdout, stderr } = await up.ended;

    expect([code, stdout]).toEqual([130, ""]);
    expect(stderr).toContain(`Come back with: berth attach waits-${signal}. End it with: berth end waits-${signal}`);
    expect((await found(`waits-${signal}`)).status).toBe("queued");
    expect((await cli.run("end", `waits-${signal}`)).code).toBe(0);
  }
  expect((await cli.run("end", "blocks")).code).toBe(0);
});

test("Ctrl-C in logs -f does not affect the job", async () => {
  await cli.run("login");
  await cli.run("up", "-t", "cpu", "prints", "--", "echo one; sleep 3600");
  const logs = cli.start({}, "logs", "-f", "prints");
  await logs.says("one\n");
  logs.child.kill("SIGINT");

  expect(await logs.ended).toMatchObject({ code: 130, stdout: "one\n" });
  expect((await found("prints")).status).toBe("active");
  await cli.run("end", "prints");
});

test("stored files are readable only for their owner, and no draft is left", async () => {
  await cli.run("login");
  const directory = join(cli.state, "berth");
  const files = readdirSync(directory).map((name) => join(directory, name));

  expect(statSync(directory).mode & 0o777).toBe(0o700);
  const modes = files.filter((file) => statSync(file).isFile()).map((file) => [file, statSync(file).mode & 0o777]);
  expect(modes.filter(([, mode]) => mode !== 0o600)).toEqual([]);
  expect(files.filter((file) => /\.(lock|guard|[0-9a-f-]{36})$/.test(file))).toEqual([]);
});

test("two concurrent logins leave one complete file, and both keys work", async () => {
  const both = await Promise.all([cli.run("login"), cli.run("login"), cli.run("me")]);

  expect(both.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(JSON.parse(readFileSync(join(cli.state, "berth/profiles.json"), "utf8"))).toHaveProperty(
    "current",
    cli.running.url,
  );
});

test("an expired key is renewed silently", async () => {
  await cli.run("login");
  const path = join(cli.state, "berth/profiles.json");
  const kept = JSON.parse(readFileSync(path, "utf8"));
  const { key } = kept.profiles[cli.running.url];
  kept.profiles[cli.running.url].expiresAt = "2020-01-01T00:00:00Z";
  writeFileSync(path, JSON.stringify(kept));

  expect(await cli.run("ls", "--json")).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(readFileSync(path, "utf8")).profiles[cli.running.url].key).not.toBe(key);
});

test("a user with AWS credentials in the environment logs in by the AWS chain", async () => {
  const { AWS_ACCESS_KEY_ID = "", AWS_SECRET_ACCESS_KEY = "", ...rest } = await cli.running.env("--user", "second");
  const { AWS_SESSION_TOKEN = "", AWS_ENDPOINT_URL_STS = "" } = rest;
  const aws = { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_ENDPOINT_URL_STS };
  const env = { ...aws, BERTH_HOME: `${cli.state}/none`, XDG_CONFIG_HOME: join(cli.state, "second") };

  expect(await cli.runWith({ env }, "login", cli.running.url)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(" as second."),
  });
  expect((await cli.runWith({ env }, "me")).stdout).toMatch(/User +second /);
});

test("a key from standard input is kept until the logout, which revokes it", async () => {
  const { API_KEY = "" } = await cli.running.env("--fresh");
  const env = { XDG_CONFIG_HOME: join(cli.state, "given") };
  const { url } = cli.running;

  expect(await cli.runWith({ env, input: `${API_KEY}\n` }, "login", url, "--key-stdin")).toMatchObject({ code: 0 });
  expect((await cli.runWith({ env }, "env")).stdout).toBe(`export API_URL='${url}'\nexport API_KEY='${API_KEY}'\n`);
  expect(await cli.runWith({ env }, "logout")).toMatchObject({ code: 0 });

  const revoked = await cli.runWith({ env: { ...env, BERTH_URL: url, BERTH_API_KEY: API_KEY } }, "ls");
  expect(revoked).toMatchObject({ code: 4, stdout: "" });
});

test("berth.yaml of the directory is used if no type is given, and flags win over it", async () => {
  await cli.run("login");
  const cwd = mkdtempSync(join(cli.state, "project-"));
  writeFileSync(join(cwd, "berth.yaml"), "type: h100\ngpus: 2\nhours: 2\n");
  writeFileSync(join(cwd, "other.yml"), "typ: h100\n");
  const dryRun = (...words: string[]) => cli.runWith({ cwd }, "up", "--dry-run", ...words);

  expect(await dryRun()).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^p5\.48xlarge: 2 × 2 h = 4 GPU-hours\n/),
    stderr: "Using berth.yaml of this directory: type, gpus, hours.\n",
  });
  writeFileSync(join(cwd, "berth.yaml"), "type: h100\ngpus: 2\nhours: 2\ngithub: mallory\n");
  expect(await dryRun()).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("lets the SSH keys of GitHub user 'mallory' in\nhint: Use it with: -f berth.yaml"),
  });
  expect(await dryRun("--github", "octocat")).toMatchObject({ code: 0 });
  writeFileSync(join(cwd, "berth.yaml"), "type: h100\ngpus: 2\nhours: 2\n");
  expect((await dryRun("--hours", "3")).stdout).toMatch(/^p5\.48xlarge: 2 × 3 h = 6 GPU-hours\n/);
  expect(await dryRun("-t", "h100")).toMatchObject({ stdout: expect.stringMatching(/: 1 × 1 h = /), stderr: "" });
  expect(await dryRun("-f", "other.yml")).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringMatching(
      /^error: other\.yml, line 1, column 1: there is no key 'typ'\. Did you mean type\?\nhint: /,
    ),
  });
});

async function found(name: string) {
  for await (const job of cli.berth.jobs.list()) if (job.name === name) return job;
  throw new Error(`There is no ${name}`);
}
