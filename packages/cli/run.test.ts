import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../tests/fixtures/free-port.ts";
import { openServer } from "../sdk/server-fixture.ts";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";

let cli: CliFixture;
let place: string;
let settings: Readonly<Record<string, string>>;
beforeAll(async () => {
  settings = { LOCAL_NODES: "p5.48xlarge=1,c7i.8xlarge=8", PORT: String(await freePort()) };
  cli = await openCliFixture(settings);
  place = mkdtempSync(join(tmpdir(), "berth-run-"));
  await cli.run("login");
});
afterAll(async () => {
  await cli.close();
  rmSync(place, { recursive: true });
});

/** Makes a directory with files for a run. */
function directory(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(place, name);
  mkdirSync(path);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

async function jobNamed(name: string) {
  for await (const job of cli.berth.jobs.list({ name })) return cli.berth.jobs.get(job.job_id);
  throw new Error(`There is no ${name}`);
}

const names = { "a b": "1", "-rf": "2", "it's": "3", "new\nline": "4", "$(touch x)": "5", ü: "6" };

/** Without rsync on the PATH the files go as a tar stream. */
function pathWithout(program: string): string {
  const bin = join(place, `without-${program}`);
  mkdirSync(bin, { recursive: true });
  for (const name of ["ssh", "ssh-keygen", "git", "tar"]) {
    const found = spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim();
    if (!existsSync(join(bin, name))) symlinkSync(found, join(bin, name));
  }
  return bin;
}

test.each(["rsync", "tar"] as const)(
  "by %s a run copies in, prints, copies back, ends, and returns the command's code",
  async (by) => {
    const env = by === "tar" ? { PATH: pathWithout("rsync") } : {};
    const dir = directory(`by ${by}`, names);
    symlinkSync("/etc/hostname", join(dir, "link"));
    const script = `cat -- ./*b ./-rf "it's" "new
line" '$(touch x)' ü; echo told >&2; test -L link && ls -A | wc -l
    mkdir -p "out put" && echo result >"out put/a b" && ln -s /etc/passwd "out put/away"
    chmod 6755 "out put/a b"; exit 7`;

    const words = ["run", "-t", "cpu", "--dir", dir, "--pull", "out put", "--pull", "./-rf", `by-${by}`, "--", script];
    const { code, stdout, stderr } = await cli.runWith({ env }, ...words);

    expect([code, stdout]).toEqual([7, "1234568\n"]);
    expect(stderr).toMatch(/^told$/m);
    expect(stderr).not.toMatch(/error:/);
    expect(readFileSync(join(dir, "out put", "a b"), "utf8")).toBe("result\n");
    expect(lstatSync(join(dir, "out put", "a b")).mode & 0o7777).toBe(0o755);
    const away = lstatSync(join(dir, "out put", "away"), { throwIfNoEntry: false });
    expect(away === undefined || away.isSymbolicLink()).toBe(true);
    expect(await jobNamed(`by-${by}`)).toMatchObject({ status: "failed", exit_code: 7 });
  },
);

test("the files are those of git and of .berthignore, and a directory outside is never copied", async () => {
  const outside = directory("outside", { secret: "s" });
  const dir = directory("work tree", {
    kept: "",
    "left.log": "",
    data: "",
    ".gitignore": "*.log\n",
    ".berthignore": "data\n",
  });
  symlinkSync(outside, join(dir, "link"));
  mkdirSync(join(dir, "nested"));
  writeFileSync(join(dir, "nested", "x"), "");
  for (const words of [
    ["init", "-q"],
    ["add", "kept", "data"],
  ])
    spawnSync("git", ["-C", dir, ...words]);

  const listing = "find . -path ./.git -prune -o ! -type d -print | sort";
  const { code, stdout } = await cli.run("run", "-t", "cpu", "--dir", dir, "listed", "--", listing);

  expect([code, stdout]).toEqual([0, "./.berthignore\n./.gitignore\n./kept\n./link\n./nested/x\n"]);
});

test("both outputs arrive byte by byte", async () => {
  const dir = directory("bytes", { "print.sh": "head -c 3000000 /dev/urandom | tee bytes; tail -c 1000 bytes >&2" });
  const both = cli.start({}, "run", "-t", "cpu", "--dir", dir, "--pull", "bytes", "bytes", "--", "sh", "print.sh");
  const [out, err] = [both.child.stdout, both.child.stderr].map((stream) => {
    const parts: Buffer[] = [];
    stream?.on("data", (part: Buffer) => parts.push(part));
    return parts;
  });
  expect((await both.ended).code).toBe(0);

  const bytes = readFileSync(join(dir, "bytes"));
  expect(Buffer.concat(out ?? []).equals(bytes)).toBe(true);
  expect(Buffer.concat(err ?? []).includes(bytes.subarray(-1000))).toBe(true);
});

/** Counts until the file \`stop\` is there. */
const countUntilStop =
  "i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i; echo $i >&2; sleep 0.1; done; echo end; exit 3";

function numbersTo(last: number): string {
  return Array.from({ length: last }, (_, at) => `${at + 1}\n`).join("");
}

test("a stack that is killed and restarted during a run loses and repeats nothing", async () => {
  const dir = directory("restarted", {});
  const run = cli.start({}, "run", "-t", "cpu", "--dir", dir, "restarted", "--", countUntilStop);
  await run.says("\n15\n");

  await cli.running.kill("SIGKILL");
  await cli.stack.start(settings);
  await run.says("Trying again.");
  const seen = run.soFar().stdout.length;
  await expect.poll(() => run.soFar().stdout.length, { timeout: 60_000 }).toBeGreaterThan(seen);
  await cli.run("ssh", "restarted", "--", 'touch "$WORKSPACE/restarted/stop"');

  const { code, stdout, stderr } = await run.ended;
  const last = Number(stdout.trimEnd().split("\n").at(-2));
  expect(code).toBe(3);
  expect(last).toBeGreaterThan(15);
  expect(stdout).toBe(`${numbersTo(last)}end\n`);
  expect(stderr.replace(/^.*[^\d\n].*\n/gm, "")).toBe(numbersTo(last));
});

test("a run whose connection is cut continues where it was", async () => {
  const dir = directory("cut", {});
  const run = cli.start({}, "run", "-t", "cpu", "--dir", dir, "cut", "--", countUntilStop);
  await run.says("\n5\n");

  for (const pid of getChildren(run.child.pid)) process.kill(pid, "SIGKILL");
  await run.says("Trying again.");
  const seen = run.soFar().stdout.length;
  await expect.poll(() => run.soFar().stdout.length, { timeout: 60_000 }).toBeGreaterThan(seen);
  await cli.run("ssh", "cut", "--", 'touch "$WORKSPACE/cut/stop"');

  const { code, stdout } = await run.ended;
  expect(code).toBe(3);
  expect(stdout).toBe(`${numbersTo(Number(stdout.trimEnd().split("\n").at(-2)))}end\n`);
});

function getChildren(pid: number | undefined): number[] {
  return spawnSync("ps", ["-o", "pid=", "--ppid", String(pid)], { encoding: "utf8" })
    .stdout.trim()
    .split(/\s+/)
    .map(Number);
}

test.each(["SIGINT", "SIGTERM"] as const)("%s in a pipe detaches, and the run can be reattached", async (signal) => {
  const name = `left-${signal}`;
  const dir = directory(name, {});
  const run = cli.start(
    {},
    "run",
    "-t",
    "cpu",
    "--dir",
    dir,
    "--pull",
    "result",
    name,
    "--",
    `${countUntilStop} >result`,
  );
  await run.says("\n3\n");
  run.child.kill(signal);

  const { code, stderr } = await run.ended;
  expect(code).toBe(130);
  expect(stderr).toContain(`Come back with: berth run --attach ${name}. End it with: berth end ${name}`);
  expect(await jobNamed(name)).toMatchObject({ status: "active" });
  await cli.run("ssh", name, "--", `cd "$WORKSPACE/${name}"; touch stop`);

  const back = await cli.run("run", "--attach", name);
  expect(back.code).toBe(3);
  expect(back.stderr).toMatch(/^1\n2\n3\n/m);
  expect(existsSync(join(dir, "result"))).toBe(true);
  expect(await jobNamed(name)).toMatchObject({ status: "failed", exit_code: 3 });
  expect(await cli.run("run", "--attach", name)).toMatchObject({ code: 255, stdout: "" });
});

test("a run that is left in the queue waits there, and starts once it is reattached", async () => {
  await cli.run("up", "-t", "h100", "-g", "8", "taken");
  const dir = directory("queued", { file: "content" });
  const run = cli.start({}, "run", "-t", "h100", "-g", "8", "--dir", dir, "queued", "--", "cat file");
  await run.says(/queued #1/);
  run.child.kill("SIGTERM");

  expect(await run.ended).toMatchObject({ code: 130, stdout: "" });
  expect(await jobNamed("queued")).toMatchObject({ status: "queued" });
  await cli.run("end", "taken");
  expect(await cli.run("run", "--attach", "queued")).toMatchObject({ code: 0, stdout: "content" });
});

test("a job that another command ends during a run is reported, and not a success", async () => {
  const dir = directory("ended", {});
  const run = cli.start({}, "run", "-t", "cpu", "--dir", dir, "ended", "--", "echo begun; sleep 3600");
  await run.says("begun\n");
  await cli.run("end", "ended");

  const { code, stdout, stderr } = await run.ended;
  expect([code, stdout]).toEqual([255, "begun\n"]);
  expect(stderr).toMatch(/ended \(\w{8}\) is cancelled/);
});

test("BERTH_QUIET hides no error of run and ssh", async () => {
  const env = { BERTH_QUIET: "1" };
  const words = ["-t", "cpu", "--dir", directory("quiet", {}), "--pull", "nothing", "quiet", "--", "true"];

  const run = await cli.runWith({ env }, "run", ...words);
  const ssh = await cli.runWith({ env }, "ssh", "no-such-job", "--", "true");

  expect(run).toMatchObject({ code: 255, stdout: "" });
  expect(run.stderr).toMatch(/^error: The command left no 'nothing' to copy back\.\nhint: [^\n]+\n$/);
  expect(ssh).toMatchObject({ code: 255, stderr: expect.stringMatching(/^error: There is no job 'no-such-job'/) });
});

test("a failure of the deployment before the command says how to come back to the job, or that it was ended", async () => {
  const job = { job_id: "9e41c7d3-0000-4000-8000-000000000000", name: "odd", status: "active", duration_hours: 1 };
  const odd = { ...job, gpu_count: 0, instance_type: "c7i.8xlarge", queue_position: null, status_reason: null };
  const shown = {
    ...odd,
    warning: null,
    expires_at: null,
    ssh_command: "ssh -oProxyCommand=x a@b",
    ssh_host_key: null,
  };
  let canEnd = true;
  const server = await openServer(({ method, path }) => {
    if (method === "POST" && path === "/v1/jobs/submit") return { body: { job_id: job.job_id } };
    if (path.endsWith("/cancel")) return canEnd ? { body: {} } : { status: 400, body: { detail: "No" } };
    return { body: shown };
  });
  const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };
  const words = ["run", "-t", "cpu", "--dir", directory("odd", {}), "odd", "--", "true"];

  const ended = await cli.runWith({ env }, ...words);
  canEnd = false;
  const left = await cli.runWith({ env }, ...words);
  server.close();

  expect([ended.code, left.code]).toEqual([255, 255]);
  expect(ended.stderr).toContain("Ended job odd, since its command was not started.");
  expect(left.stderr).toContain(
    "Job odd goes on. Come back with: berth run --attach odd. End it with: berth end odd\nerror: The server sent an invalid SSH command",
  );
});

test("with --json a run prints the job at each change, its outputs and the job that ended, one JSON line each", async () => {
  const words = ["--json", "-t", "cpu", "--dir", directory("as JSON", {}), "as-json"];

  const { code, stdout } = await cli.run("run", ...words, "--", "printf ü; printf told >&2; exit 3");

  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const { job_id } = lines[0];
  const text = (output: string) => lines.map((line) => line[output] ?? "").join("");
  expect(code).toBe(3);
  expect(lines.every((line) => line.job_id === job_id)).toBe(true);
  expect([text("stdout"), text("stderr")]).toEqual(["ü", "told"]);
  expect(lines.at(-1)).toMatchObject({ status: "failed", exit_code: 3 });
});

test("HOME= and SHELL= reach the command, and PATH= is refused before there is a job", async () => {
  const words = ["run", "-t", "cpu", "--dir", directory("variables", {})];
  const ownHome = ["--env", "HOME=/no/home", "--env", "SHELL=/no/shell"];

  const run = await cli.run(...words, ...ownHome, "variables", "--", 'echo "$HOME $SHELL"');
  const refused = await cli.run(...words, "--env", "PATH=", "no-path", "--", "true");

  expect(run).toMatchObject({ code: 0, stdout: "/no/home /no/shell\n" });
  expect(refused).toMatchObject({ code: 255, stdout: "" });
  expect(refused.stderr).toMatch(/^error: [^\n]*\bPATH\b[^\n]*\nhint: [^\n]+\n/);
  expect(await cli.run("show", "no-path")).toMatchObject({ code: 3 });
});

test("a path that the command does not create is reported, and --keep keeps the job alive", async () => {
  const dir = directory("missing", {});
  const words = ["run", "-t", "cpu", "--dir", dir, "--keep", "--pull", "nothing", "missing", "--", "true"];

  const { code, stderr } = await cli.run(...words);

  expect(code).toBe(255);
  expect(stderr).toContain("error: The command left no 'nothing' to copy back.");
  expect(await jobNamed("missing")).toMatchObject({ status: "active" });
  await cli.run("end", "missing");
});

test.each([
  ["no command", ["--dir", "."], "Say what to run"],
  ["no directory", ["--dir", "/no/such/place", "--", "true"], "There is no directory"],
  ["a path outside", ["--pull", "a/../../b", "--", "true"], "--pull takes a path inside of the directory"],
  ["an absolute path", ["--pull", "/etc", "--", "true"], "--pull takes a path inside of the directory"],
  ["no type", ["--", "true"], "Say which type of machine"],
])("%s is refused with 255 and a message, and no job is created", async (_, words, expected) => {
  const before = (await cli.run("ls", "--all", "--json")).stdout;

  const { code, stdout, stderr } = await cli.run("run", ...words);

  expect([code, stdout]).toEqual([255, ""]);
  expect(stderr).toMatch(
    new RegExp(`^error: ${expected}.*\\n(hint: .*\\n)?berth failed, not the command: exit code 255\\n$`),
  );
  expect((await cli.run("ls", "--all", "--json")).stdout).toBe(before);
});

test("the command and the paths to copy back may be those of berth.yaml", async () => {
  const text = "type: cpu\ncommand: [sh, -c, 'echo result >out; echo other >more']\npull: out\n";
  const dir = directory("from a file", { "berth.yaml": text });
  const file = join(dir, "berth.yaml");

  expect(await cli.run("run", "-f", file, "--dir", dir, "from-file")).toMatchObject({ code: 0 });
  expect(readFileSync(join(dir, "out"), "utf8")).toBe("result\n");
  expect(existsSync(join(dir, "more"))).toBe(false);

  const ownNames = ["--pull", "more", "from-flags", "--", "echo mine >more"];
  expect(await cli.run("run", "-f", file, "--dir", dir, ...ownNames)).toMatchObject({ code: 0 });
  expect(readFileSync(join(dir, "more"), "utf8")).toBe("mine\n");
});

test("a directory of more than 2 GB is refused before a job is created", async () => {
  const dir = directory("huge", { large: "" });
  truncateSync(join(dir, "large"), 2_000_000_001);

  const { code, stderr } = await cli.run("run", "-t", "cpu", "--dir", dir, "huge", "--", "true");

  expect(code).toBe(255);
  expect(stderr).toMatch(/holds 2\.0 GB\nhint: Name what to leave out in \.berthignore.*--yes/);
  expect((await cli.run("show", "huge")).code).toBe(3);
});
