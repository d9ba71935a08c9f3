import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../../tests/fixtures/free-port.ts";
import { openServer } from "../../sdk/server-fixture.ts";
import { type CliFixture, openCliFixture } from "../cli-fixture.ts";
import { closeScreens, openScreen } from "../screen-fixture.ts";

let cli: CliFixture;
let place: string;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=4" });
  place = mkdtempSync(join(tmpdir(), "berth-files-"));
  await cli.run("login");
});
afterAll(async () => {
  closeScreens();
  await cli.close();
  rmSync(place, { recursive: true });
});

/** Escape sequences, C1 controls, bidi marks, zero-width characters and line breaks. */
const hostile = "\u001B[31mred\u001B]0;title\u0007\u009B2J\u202Eright\u2066\u200B\u{E0041}\u2028line\nevil\u0000\u007F";
const painting = /[^\P{Cc}\n]|[\p{Cf}\p{Co}\u2028\u2029]/u;
const hostileJob = {
  job_id: "9e41c7d3",
  name: hostile,
  status: "failed",
  gpu_count: 0,
  instance_type: hostile,
  duration_hours: 1,
  queue_position: null,
  status_reason: hostile,
  disk_name: hostile,
  expires_at: null,
  warning: hostile,
  estimated_start_time: null,
  jupyter_url: hostile,
  jupyter_error: hostile,
  secondary_users: [hostile],
  image: hostile,
  command: hostile,
  env_names: [hostile],
  exit_code: null,
  ended_at: hostile,
  gpu_hours: 0,
  ssh_command: hostile,
  actions: [{ action: hostile, status: "failed", error: hostile, requested_at: hostile }],
  timeline: [{ at: hostile, status: hostile, reason: hostile }],
};

test("a disk is created, renamed, deleted and undeleted", async () => {
  expect(await cli.run("disks", "create", "one", "--size", "20")).toMatchObject({
    code: 0,
    stdout: "Made disk one.\n",
  });
  expect(await cli.run("disks", "rename", "one", "two")).toMatchObject({ code: 0, stderr: "" });
  expect((await cli.run("disks")).stdout).toMatch(/^NAME .*\ntwo +20 GB +free +0 +never\n$/);
  expect(await cli.run("disks", "rm", "two")).toMatchObject({ code: 2, stdout: "" });
  expect((await cli.run("disks", "rm", "two", "--yes")).stdout).toMatch(/^Deleted disk two\. /);
  expect(JSON.parse((await cli.run("disks", "ls", "--json")).stdout)).toEqual([]);
  expect((await cli.run("disks", "ls", "--deleted")).stdout).toMatch(/\ntwo +20 GB +deleted, gone on /);
  expect(await cli.run("disks", "undelete", "two")).toMatchObject({ code: 0, stdout: "Disk two is back.\n" });
  const unknown = await cli.run("disks", "undelete", "nothing");
  expect(unknown).toMatchObject({ code: 3, stdout: "" });
  expect(unknown.stderr).toMatch(
    /^error: Disk 'nothing' not found\nhint: List your deleted disks with: berth disks ls --deleted\nrequest id: /,
  );
  expect(await cli.run("disks", "restore", "two", "three")).toMatchObject({ code: 3, stdout: "" });
});

test("on a terminal a disk is deleted once its whole name is typed, and any other answer deletes nothing", async () => {
  await cli.run("disks", "create", "typed");
  const stateOfDisk = async () => (await cli.berth.disks.get("typed")).is_deleted;

  for (const answer of ["type", "typed2", "y", ""]) {
    const screen = openScreen(cli, {}, "disks", "rm", "typed");
    await screen.shows("Type its name to delete it:");
    screen.press(`${answer}\r`);

    expect([await screen.ended, screen.text()]).toEqual([1, expect.stringContaining("error: Nothing was deleted")]);
    expect(await stateOfDisk()).toBe(false);
  }

  const screen = openScreen(cli, {}, "disks", "rm", "typed");
  await screen.shows("Type its name to delete it:");
  screen.press("typed\r");
  expect([await screen.ended, screen.text()]).toEqual([0, expect.stringContaining("Deleted disk typed.")]);
  expect((await cli.run("disks", "ls", "--deleted")).stdout).toMatch(/\ntyped /);
});

test("a login accepts localhost and the port of the local stack, and logs in as its user", async () => {
  const { port } = new URL(cli.running.url);

  const { code, stdout } = await cli.run("login", `localhost:${port}`);

  expect([code, stdout]).toEqual([0, expect.stringMatching(`^Logged in to ${cli.running.url} as developer`)]);
});

test("a snapshot of a free disk is created and restored, and a failed one is reported", async () => {
  await cli.run("up", "-t", "cpu", "--disk", "kept", "writer", "--", 'echo one > "$WORKSPACE/file"; sleep 600');
  const inUse = await cli.run("disks", "snapshot", "kept");
  await cli.run("end", "writer", "--yes");

  const made = await cli.run("disks", "snapshot", "kept");
  const listed = await cli.run("disks", "snapshots", "kept");
  const restored = await cli.run("disks", "restore", "kept", "copy");
  await cli.run("up", "-t", "cpu", "--disk", "copy", "reader", "--", 'cat "$WORKSPACE/file"');
  await cli.run("wait", "reader", "--until", "ended");

  expect(inUse).toMatchObject({ code: 1, stdout: "" });
  expect(inUse.stderr).toContain("No snapshot of a disk in use can be made here");
  expect(made.stdout).toMatch(/^Made snapshot snap-[0-9a-f]{16} of disk kept\.\n$/);
  expect(listed.stdout).toMatch(/completed +\S+ +on demand\n.*completed +\S+ +backup\n$/s);
  expect(restored).toMatchObject({ code: 0 });
  expect((await cli.run("logs", "reader")).stdout).toContain("one");
  expect(await cli.run("disks", "snapshot", "none")).toMatchObject({ code: 3, stdout: "" });
});

test("fields that the server ignores are named on stderr, and the answer is printed as usual", async () => {
  const answer = await cli.run("api", "/v1/jobs?color=red&limit=1");

  expect(answer).toMatchObject({ code: 0, stderr: "note: the server does not know color and ignored it\n" });
  expect(JSON.parse(answer.stdout)).toMatchObject({ limit: 1 });
});

/** Perl is on every Debian. It answers each connection to port 8000. */
const serveByPerl = `perl -MIO::Socket::INET -e '
  $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8000, Listen => 5, ReuseAddr => 1) or die;
  while ($client = $server->accept) { <$client>; print $client "HTTP/1.0 200 OK\\r\\n\\r\\nin the job"; close $client }'`;

async function asJson(...words: string[]) {
  const { code, stdout } = await cli.run(words[0] ?? "", "--json", ...words.slice(1));
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

test("files are copied into a job and out of it, and a port is forwarded to it", async () => {
  await cli.run("up", "-t", "cpu", "files", "--", serveByPerl);
  const file = join(place, "a file: of mine.txt");
  writeFileSync(file, "content\n");

  expect(await cli.run("cp", file, "files:sent.txt")).toMatchObject({ code: 0 });
  expect(await cli.run("cp", "files:sent.txt", join(place, "back.txt"))).toMatchObject({ code: 0 });
  expect(readFileSync(join(place, "back.txt"), "utf8")).toBe("content\n");
  expect(await cli.run("cp", file, join(place, "x"))).toMatchObject({ code: 2 });

  const [copied, back] = [await asJson("cp", file, "files:sent.txt"), join(place, "as JSON")];
  expect(copied).toEqual({ from: file, to: "files:sent.txt", job_id: copied.job_id, files: 1, bytes: 8 });
  mkdirSync(back);
  writeFileSync(join(back, "earlier"), "not copied");
  expect(await asJson("cp", "files:sent.txt", back)).toMatchObject({ files: 1, bytes: 8 });
  expect(await asJson("cp", "-r", back, "files:tree")).toMatchObject({ files: 2, bytes: 18 });
  const tree = join(place, "tree as JSON");
  expect(await asJson("cp", "-r", "files:tree", tree)).toMatchObject({ files: 2, bytes: 18 });
  expect(await asJson("cp", "-r", "files:tree/.", tree)).toMatchObject({ files: null, bytes: null });
  expect(await cli.run("cp", "--json", "files:nothing", back)).toMatchObject({ code: 1, stdout: "" });

  const port = await freePort();
  const opened = cli.start({}, "forward", "--json", "files", `${port}:8000`);
  await opened.says("leads to port 8000");
  opened.child.kill("SIGTERM");
  const url = `http://127.0.0.1:${port}`;
  const line = { job_id: copied.job_id, url, local_port: port, job_port: 8000 };
  expect(JSON.parse((await opened.ended).stdout)).toEqual(line);

  const forward = cli.start({}, "forward", "files", `${port}:8000`);
  await forward.says("leads to port 8000");
  const answer = await fetch(`http://127.0.0.1:${port}/`);
  expect(await answer.text()).toBe("in the job");
  expect(await cli.run("forward", "files", `${port}:8000`)).toMatchObject({
    code: 255,
    stderr: expect.not.stringContaining("leads to"),
  });
  forward.child.kill("SIGTERM");
  expect(await forward.ended).toMatchObject({ code: 143, stdout: "" });
  await expectSaidOnceUp(port);
  expect(await cli.run("forward", "files", "70000")).toMatchObject({ code: 2 });
  expect(await cli.run("end", "files")).toMatchObject({ code: 0 });
});

/** OpenSSH runs its local command in the user's shell, whose start files may print text and may end it. */
async function expectSaidOnceUp(port: number): Promise<void> {
  const shell = join(place, "shell");
  const useShell = (script: string) => writeFileSync(shell, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const words = ["forward", "files", `${port}:8000`];

  useShell("echo startup; kill -TERM $PPID");
  const ended = await cli.runWith({ env: { SHELL: shell } }, ...words);
  useShell('echo startup; printf greeting:; /bin/sh "$@" | dd bs=1 status=none');
  const shown = cli.start({ env: { SHELL: shell } }, ...words);
  await shown.says("leads to port 8000");
  shown.child.kill("SIGTERM");

  expect(ended.stderr).not.toContain("leads to");
  expect((await shown.ended).stderr.match(/leads to/g)).toHaveLength(1);
}

test.each(["ls", "ls --json", "api /v1/jobs", "show 9e41c7d3", "end 9e41", "ssh 9e41", "up -t cpu"])(
  "names, reasons and addresses of jobs cannot paint the terminal by berth %s",
  async (line) => {
    const server = await openServer(({ path }) => ({
      body: /[?]|jobs$/.test(path) ? { jobs: [hostileJob], total: 1, limit: 1, offset: 0 } : hostileJob,
    }));
    const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };

    const { stdout, stderr } = await cli.runWith({ env }, ...line.split(" "));

    server.close();
    expect(stdout + stderr).toMatch(/red/);
    expect(stdout + stderr).not.toMatch(painting);
    expect((stdout + stderr).split("\n").filter((text) => text.startsWith("evil"))).toEqual([]);
  },
);

test("JSON for a terminal is still the same JSON", async () => {
  const server = await openServer(() => ({ body: hostileJob }));
  const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };

  const { stdout } = await cli.runWith({ env }, "api", "/v1/jobs/9e41c7d3");

  server.close();
  expect(JSON.parse(stdout)).toEqual(hostileJob);
});

test("a reader that leaves early is not a failure", async () => {
  const ls = cli.start({}, "--help");
  ls.child.stdout?.destroy();

  expect(await ls.ended).toMatchObject({ code: 0, stderr: "" });
});

test("doctor says what does not work without rsync, or with an old one", async () => {
  const bin = join(place, "no rsync");
  mkdirSync(bin);
  const rsyncRow = async () =>
    JSON.parse((await cli.runWith({ env: { PATH: bin } }, "doctor", "--json")).stdout).find(
      ({ check }: { readonly check: string }) => check === "rsync",
    );

  expect(await rsyncRow()).toMatchObject({ ok: true, found: expect.stringMatching(/^none: .*apt install rsync$/) });

  const old = "#!/bin/sh\necho 'rsync  version 3.2.7  protocol version 31'\n";
  writeFileSync(join(bin, "rsync"), old, { mode: 0o755 });
  expect((await rsyncRow()).found).toMatch(/3\.2\.7 .*Install 3\.4\.0 or newer$/);
});

test("show says why a job has no Jupyter, and how to get it", async () => {
  const server = await openServer(({ path }) => {
    const job = {
      ...hostileJob,
      name: "lab",
      status: "active",
      jupyter_url: null,
      jupyter_error: "it is not installed",
    };
    return { body: path.includes("/v1/jobs?") ? { jobs: [job], total: 1, limit: 500, offset: 0 } : job };
  });
  const { stdout } = await cli.runWith(
    { env: { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) } },
    "show",
    "lab",
  );
  server.close();

  expect(stdout).toContain("none: it is not installed. Install it in the job, then: berth jupyter on lab\n");
});

test("doctor finds no problem on a working stack, and names problems", async () => {
  const { code, stdout } = await cli.run("doctor", "--json");
  expect(JSON.parse(stdout).filter(({ ok }: { readonly ok: boolean }) => !ok)).toEqual([]);
  expect(code).toBe(0);

  const server = await openServer(() => ({ status: 401, body: { detail: "API key has been revoked" } }));
  const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };
  const sick = await cli.runWith({ env }, "doctor");
  server.close();
  expect(sick.code).toBe(1);
  expect(sick.stdout).toMatch(
    /FAIL +key +API key has been revoked; hint: BERTH_API_KEY holds the key\. Unset it and log in with: berth login /,
  );
});
