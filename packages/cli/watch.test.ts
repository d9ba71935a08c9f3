import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { eventually } from "../../tests/e2e/processes.ts";
import { openServer, type ServerFixture } from "../sdk/server-fixture.ts";
import { type CliFixture, openCliFixture, type RunningCli } from "./cli-fixture.ts";
import { closeScreens, keys, openScreen, type Screen } from "./screen-fixture.ts";

const nodes = { LOCAL_NODES: "p5.48xlarge=1,c7i.8xlarge=4" };
let cli: CliFixture;
beforeAll(async () => {
  cli = await openCliFixture(nodes);
  await cli.run("login");
});
const servers: ServerFixture[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
afterAll(() => {
  closeScreens();
  return cli.close();
});

/** The signal goes to the command alone, as from `kill -INT`. */
async function interrupt({ child, ended }: RunningCli) {
  child.kill("SIGINT");
  return ended;
}

/** A deployment whose answers are of one state, with its `ETag`. A test may make it fail. */
async function deployment(state: { name: string; fails?: boolean; isRevoked?: boolean }) {
  const notModified: string[] = [];
  const server = await openServer(({ path, headers }) => {
    if (state.fails) return { status: 503, headers: { "retry-after": "0" }, body: { detail: "Stopping" } };
    if (state.isRevoked) return { status: 401, body: { detail: "API key has been revoked" } };
    const etag = `"${state.name}"`;
    if (headers["if-none-match"] === etag) {
      notModified.push(path);
      return { status: 304, headers: { etag } };
    }
    return { headers: { etag }, body: toAnswer(state.name) };
  });
  servers.push(server);
  return { server, notModified, env: { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) } };
}

/** Holds every field that the four views read. */
function toAnswer(name: string) {
  const job = { job_id: "9e41c7d3", name, status: "active", gpu_count: 0, instance_type: "c7i.8xlarge" };
  const nulls = { queue_position: null, status_reason: null, disk_name: null, expires_at: null, warning: null };
  const lists = { actions: [], timeline: [], secondary_users: [], env_names: [] };
  const more = { jupyter_url: null, image: "ubuntu", command: null, exit_code: null, ended_at: null, gpu_hours: 0 };
  const whole = { ...job, ...nulls, ...lists, ...more, duration_hours: 1, estimated_start_time: null };
  const capacity = { gpu_type: name, total: 8, available: 8, in_use: 0, queued: 0, max_per_node: 8 };
  const disk = { disk_name: name, size_gb: 20, snapshot_count: 0, last_used: null, in_use: false };
  return { ...whole, jobs: [whole], disks: [disk], availability: { one: capacity }, total: 1, limit: 1, offset: 0 };
}

test("--watch polls with an ETag, and --json prints one line for each change", async () => {
  const views = [["ls"], ["ls", "--all"], ["show", "9e41c7d3"], ["avail"], ["disks"], ["disks", "ls", "--deleted"]];
  const watches = views.map(async (words) => {
    const state = { name: "morning" };
    const { notModified, env } = await deployment(state);
    const watch = cli.start({ env }, ...words, "--watch", "--json");
    await watch.says("morning");
    await eventually(
      async () => notModified.length,
      (count) => count >= 4,
    );
    state.name = "evening";
    await watch.says("evening");
    return interrupt(watch);
  });

  for (const { code, stdout, stderr } of await Promise.all(watches)) {
    const [before = "", after, ...more] = stdout.trimEnd().split("\n");
    expect([code, stderr, more]).toEqual([130, "", []]);
    expect(JSON.parse(before.replaceAll("morning", "evening"))).toEqual(JSON.parse(after ?? ""));
  }
});

test("an outage is reported once and waited for, and changes meanwhile are shown", async () => {
  const state = { name: "first", fails: false };
  const { env, server } = await deployment(state);
  const watch = cli.start({ env }, "disks", "-w");
  await watch.says("first");
  state.fails = true;
  const before = server.seen.length;
  await watch.says("trying again");
  await eventually(
    async () => server.seen.length,
    (count) => count >= before + 11,
  );
  Object.assign(state, { name: "second", fails: false });
  await watch.says("second");

  const { code, stdout, stderr } = await interrupt(watch);

  expect(code).toBe(130);
  expect(stderr).toBe("Stopping; trying again\n");
  expect(stdout).toMatch(/^NAME .*\nfirst .*\nsecond .*\ngone: first .*\n$/);
});

test("a failure other than an outage ends the watch with its own code", async () => {
  const state = { name: "first", isRevoked: false };
  const { env } = await deployment(state);
  const watch = cli.start({ env }, "avail", "-w");
  await watch.says("first");
  state.isRevoked = true;

  const { code, stderr } = await watch.ended;
  expect(code).toBe(4);
  expect(stderr).toMatch(/^error: API key has been revoked\nhint: /);
});

test("on terminals the four views are redrawn in place, and Ctrl-C keeps the last one and restores the terminal", async () => {
  const views = [["ls"], ["avail"], ["disks", "ls"], ["show", "watched"]];
  await cli.run("up", "-d", "-t", "h100", "-g", "2", "watched");
  const screens = views.map((words) => openScreen(cli, { thenSettings: true }, ...words, "-w"));
  const [list, capacity, disks, shown] = screens as [Screen, Screen, Screen, Screen];
  await Promise.all(screens.map((screen) => screen.shows("Ctrl-C ends this")));
  await list.shows(/watched +active/);
  await capacity.shows(/h100 +6 +8/);
  await shown.shows(/State +active/);

  await cli.run("disks", "create", "appears", "--size", "20");
  await disks.shows(/appears +20 GB/);
  await cli.run("end", "watched", "--yes");
  await list.shows(/watched +cancelled/);
  await capacity.shows(/h100 +8 +8/);
  await shown.shows(/State +cancelled/);

  for (const screen of screens) {
    expect(screen.text().match(/^(ID|TYPE|NAME|Job) /gm)).toHaveLength(1);
    expect(screen.hasCursor()).toBe(false);
    screen.press(keys.interrupt);
    expect(await screen.ended).toBe(130);
    expect(screen.hasCursor()).toBe(true);
    expect(screen.text()).toMatch(/^(ID|TYPE|NAME|Job) [\s\S]* icanon[\s\S]* echo /m);
    expect(screen.text()).not.toContain("Ctrl-C ends this");
  }
});

test.each(["SIGTERM", "SIGHUP"])("%s restores the cursor and the screen of the terminal", async (signal) => {
  const screen = openScreen(cli, {}, "avail", "-w");
  await screen.shows("Ctrl-C ends this");
  screen.kill(signal);

  expect(await screen.ended).toBe(130);
  expect(screen.hasCursor()).toBe(true);
  expect(screen.received()).toContain("\u001B[?1049l");
});

test("Ctrl-Z restores the shell's screen, and the watch redraws itself afterwards", async () => {
  const screen = openScreen(cli, {}, "avail", "-w");
  await screen.shows("Ctrl-C ends this");
  screen.press("\u001A");
  await eventually(async () => screen.hasCursor(), Boolean);
  expect(screen.text()).not.toContain("Ctrl-C ends this");

  screen.kill("SIGCONT");
  await screen.shows("Ctrl-C ends this");
  screen.press(keys.interrupt);
  expect(await screen.ended).toBe(130);
});

test("a table with more lines than the terminal is cut, and no line is broken", async () => {
  const screen = openScreen(cli, { rows: 3, columns: 20 }, "avail", "-w");
  await screen.shows("more lines");

  expect(screen.text().split("\n")).toHaveLength(3);
  expect(screen.text()).not.toContain("«wrapped»");
  screen.press(keys.interrupt);
  expect(await screen.ended).toBe(130);
});

test("on terminals that must not be redrawn only changes are printed, as lines", async () => {
  await cli.run("disks", "create", "stays", "--size", "20");
  const screens = [{ TERM: "dumb" }, { BERTH_ACCESSIBLE: "1" }].map((env) => {
    return openScreen(cli, { env }, "disks", "ls", "-w");
  });
  const everywhere = (text: string | RegExp) => Promise.all(screens.map((screen) => screen.shows(text)));
  await everywhere("stays");
  await cli.run("disks", "create", "comes", "--size", "30");
  await everywhere(/^comes +30 GB/m);
  await cli.run("disks", "rm", "comes", "--yes");
  await everywhere("gone: comes ");

  for (const screen of screens) {
    screen.press(keys.interrupt);
    expect(await screen.ended).toBe(130);
    expect(screen.received()).not.toContain("\u001B");
    expect(screen.text().match(/NAME/g)).toHaveLength(1);
    expect(screen.text().match(/stays/g)).toHaveLength(1);
  }
});

/** Counts until the file `stop` is there. */
const count = 'i=0; while [ ! -e "$WORKSPACE/stop" ]; do i=$((i+1)); echo $i; sleep 0.1; done; echo end';

test("a watch, wait and logs -f continue when the stack is killed and restarted, and no line is lost or repeated", async () => {
  await cli.run("up", "-t", "cpu", "counts", "--", count);
  const wait = cli.start({}, "wait", "counts", "--until", "ended");
  const logs = cli.start({}, "logs", "-f", "counts");
  await Promise.all([wait.says(/active/), logs.says("\n5\n")]);
  const screen = openScreen(cli, { columns: 120 }, "ls", "-w");
  await screen.shows(/NAME|You have no live jobs/);
  await cli.running.kill("SIGKILL");
  await screen.shows("ECONNREFUSED; trying again");
  await Promise.all([wait.says("ECONNREFUSED; still waiting"), logs.says("ECONNREFUSED; trying again")]);

  await cli.stack.start({ ...nodes, PORT: new URL(cli.running.url).port });
  await cli.run("up", "-d", "-t", "cpu", "later");
  await screen.shows(/later +active/);
  expect(screen.text()).not.toContain("trying again");
  screen.press(keys.interrupt);
  expect(await screen.ended).toBe(130);
  await cli.run("end", "later");

  await cli.run("ssh", "counts", "--", 'touch "$WORKSPACE/stop"');
  const { code, stdout } = await logs.ended;
  const last = Number(stdout.trimEnd().split("\n").at(-2));
  expect(code).toBe(0);
  expect(stdout).toBe(`${Array.from({ length: last }, (_, at) => `${at + 1}\n`).join("")}end\n`);
  expect(await wait.ended).toMatchObject({ code: 0 });
});
