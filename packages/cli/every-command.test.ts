import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { missingPrograms } from "../../tests/e2e/program.ts";
import { freePort } from "../../tests/fixtures/free-port.ts";
import { systemClock } from "../aws/clock.ts";
import type { Item } from "../core/ports/table.ts";
import { apiKeyKey } from "../core/store/keys.ts";
import { openStores } from "../local/home/stores.ts";
import { writeJupyterStub } from "../process/pages/jupyter-stub.ts";
import { openServer, type ServerFixture } from "../sdk/server-fixture.ts";
import { berthApp } from "./app.ts";
import { type CliAnswer, type CliFixture, openCliFixture, type RunningCli } from "./cli-fixture.ts";
import { type CommandCase, commandCases, lanes, lastLane, type Room } from "./command-cases.ts";
import { closeScreens, keys, openScreen } from "./screen-fixture.ts";

const missing = missingPrograms("rsync");
const runningRooms = ["terminal", "pipe", "json"];
/**
 * One test runs some fifty commands, so a busy machine needs three times the usual limit. A second try would find a room
 * whose job has ended.
 */
const ofRoom = { timeout: 900_000, retry: 0 };

let cli: CliFixture;
let github: ServerFixture;
let place: string;
/** A fake Jupyter, because each room would wait seconds for a real one, which other tests of the command line start. */
let programs: string;
let url: string;
let expiredKey: string;
const rooms: Record<string, Room> = {};

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), "berth-every-"));
  // Environments have a /tmp of their own.
  programs = mkdtempSync("/var/tmp/berth-programs-");
  chmodSync(programs, 0o755);
  spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(place, "octocat")]);
  github = await openServer(() => ({ body: readFileSync(join(place, "octocat.pub"), "utf8") }));
  const settings = {
    ADMIN_USERS: "developer",
    LOCAL_NODES: "c7i.8xlarge=12,g4dn.2xlarge=3",
    GITHUB_KEYS_URL: `${github.url}/<user>.keys`,
    LOCAL_PATH: programs,
  };
  cli = await openCliFixture(settings);
  // A sandbox shows its own Node.
  const shownNode = join(cli.stack.home, "tools/node");
  writeJupyterStub(programs, `$([ -x ${shownNode} ] && echo ${shownNode} || echo ${process.execPath})`);
  expiredKey = (await cli.running.env()).API_KEY ?? "";
  await openRoom("down", cli.running.url);
  await run("down", {}, "login");
  await cli.running.kill("SIGTERM");
  rooms.down = { ...(rooms.down as Room), stackHome: copyStoppedHome() };
  await expireKey(expiredKey);
  ({ url } = await cli.stack.start(settings));
  await Promise.all([...runningRooms, "without", "expired"].map((name) => openRoom(name, url)));
  await Promise.all(runningRooms.map(furnish));
  await run("without", { XDG_CONFIG_HOME: join(place, "second") }, "login", "--user", "second");
});
afterAll(async () => {
  closeScreens();
  await cli.close();
  github.close();
  for (const path of [place, programs]) rmSync(path, { recursive: true });
});

/** Moves the end of a key into the past while the stack is stopped. */
async function expireKey(key: string): Promise<void> {
  const { table, stop } = openStores(cli.stack.home, systemClock());
  const item = await table.get(apiKeyKey(createHash("sha256").update(key).digest("hex")));
  if (!item) throw new Error("The key has no record");
  const expired: Item = { ...item, expiresAt: Date.now() - 1 };
  await table.put(expired);
  await stop();
}

/** Copies the files of a stopped stack that the command line reads, because another stack starts in the same home. */
function copyStoppedHome(): string {
  const copy = join(place, "stopped");
  for (const name of ["stack.json", "identities.json"]) cpSync(join(cli.stack.home, name), join(copy, name));
  return copy;
}

async function openRoom(name: string, address: string): Promise<void> {
  const home = join(place, name);
  for (const path of ["data", "none"]) mkdirSync(join(home, path), { recursive: true });
  writeFileSync(join(home, "data/file"), "content\n");
  const stack = { url: address, stackHome: cli.stack.home };
  const made = { lab: `lab-${name}`, ownKey: "00000000", node: "no-node" };
  rooms[name] = { name, home, port: await freePort(), ...stack, ...made };
}

/** Creates what the commands of a room use. */
async function furnish(name: string): Promise<void> {
  await run(name, {}, "login");
  const { lab } = rooms[name] as Room;
  const { API_KEY } = JSON.parse((await run(name, {}, "env", "--json")).stdout) as { API_KEY: string };
  const nodes = JSON.parse((await run(name, {}, "admin", "node", "--json")).stdout) as {
    node: string;
    gpu_type: string;
  }[];
  const { node = "" } = nodes.filter(({ gpu_type }) => gpu_type.startsWith("t4"))[runningRooms.indexOf(name)] ?? {};
  rooms[name] = { ...(rooms[name] as Room), ownKey: API_KEY.slice(0, 8), node };
  await run(name, {}, "up", "-t", "cpu", lab, "--", "echo in the lab; sleep 3600");
}

type Variables = Readonly<Record<string, string>>;

function environment(room: Room, env: Variables): Variables {
  return {
    HOME: room.home,
    XDG_CONFIG_HOME: join(room.home, "config"),
    BERTH_HOME: room.stackHome,
    ...noDesktop,
    ...env,
  };
}

const noDesktop = { DISPLAY: "", WAYLAND_DISPLAY: "", WSL_DISTRO_NAME: "" };

function run(name: string, env: Variables, ...words: string[]): Promise<CliAnswer> {
  return start(rooms[name] as Room, env, words).ended;
}

function start(room: Room, env: Variables, words: readonly string[]) {
  return cli.start({ env: environment(room, env), cwd: join(room.home, "none") }, ...words);
}

interface Leaf {
  readonly name: string;
  readonly hasJson: boolean;
}

/** Returns every command of the command line that is no group. */
function leaves(group = berthApp({ showsAdmin: true }).root, path: readonly string[] = []): Leaf[] {
  if (!("getAllEntries" in group)) {
    return [{ name: path.join(" "), hasJson: group.usesFlag("json", "allow-kebab-for-camel") }];
  }
  return group.getAllEntries().flatMap(({ name, target }) => leaves(target, [...path, name["convert-camel-to-kebab"]]));
}

const commands = leaves();

/** Commands whose output is for a person, a shell, or is that of another program. */
const withoutJson = ["ssh", "completion", "help"];

test("every command has its row, and all but those that print no object take --json", () => {
  const names = commands.map(({ name }) => name);
  expect(Object.keys(commandCases).toSorted()).toEqual(names.toSorted());
  expect(
    commands
      .filter(({ hasJson }) => !hasJson)
      .map(({ name }) => name)
      .toSorted(),
  ).toEqual(withoutJson.toSorted());
});

test("this machine has the programs of every row", ({ skip }) => {
  skip(missing.length > 0, `rows are left out, because this machine has no ${missing.join(" and no ")}`);
});

function isAbsent({ name }: Leaf): boolean {
  return missing.some((program) => name.startsWith(program));
}

/** The commands of a lane with their rows and the words of one room. */
function cells(room: Room, lane = commandCases) {
  return Object.keys(lane)
    .map((name) => commands.find((leaf) => leaf.name === name))
    .filter((leaf) => leaf !== undefined)
    .filter((leaf) => !isAbsent(leaf))
    .map((leaf) => {
      const row = commandCases[leaf.name] as CommandCase;
      const ownNames = [...(row.answeredBy ?? []), ...(row.words?.(room) ?? [])];
      return {
        ...leaf,
        row,
        path: leaf.name.split(" "),
        own: ownNames,
        env: row.env?.(room) ?? {},
        code: row.code ?? 0,
      };
    });
}

type Cell = ReturnType<typeof cells>[number];

const escapeCode = "\u001B";
const spoken = /^(error|hint|note|request id): /m;

/** One sentence, what to do, and nothing but the request id and the code of `run` behind it. */
const errorWords = /(^|\n)error: [^\n]+\nhint: [^\n]+\n(request id: [^\n]+\n)?(berth failed, [^\n]+\n)?$/;

/** A cell of the table that is not as its row says. */
interface Fault {
  readonly command: string;
  readonly faults: readonly string[];
  readonly answer: unknown;
}

/** Runs the lanes of a room concurrently. In each, one command runs after the other. */
async function lookAtEach(room: Room, poll: (cell: Cell) => Promise<Fault>): Promise<Fault[]> {
  const found: Fault[] = [];
  const runLane = async (lane: typeof lastLane) => {
    for (const cell of cells(room, lane)) found.push(await poll(cell));
  };
  await Promise.all(lanes.map(runLane));
  await runLane(lastLane);
  return found.filter(({ faults }) => faults.length > 0);
}

/** Returns the names of the claims that do not hold. */
function untrue(claims: Readonly<Record<string, boolean>>): string[] {
  return Object.keys(claims).filter((claim) => !claims[claim]);
}

/** Stops a command that runs on, once it has printed what it does. Its exit code counts as 0. */
async function endOf(started: RunningCli, { until }: CommandCase): Promise<CliAnswer> {
  if (until === undefined) return started.ended;
  await started.says(until);
  started.child.kill("SIGTERM");
  const answer = await started.ended;
  return { ...answer, code: answer.code === 143 ? 0 : -1 };
}

test.concurrent("in a pipe stdout is only the data, without questions or colors", ofRoom, async ({ expect }) => {
  const room = rooms.pipe as Room;
  const found = await lookAtEach(room, async ({ name, path, own: ownNames, row, env, code }) => {
    const answer = await endOf(start(room, env, [...path, ...ownNames]), row);
    const faults = untrue({
      [`code ${code}`]: answer.code === code,
      "stdout is the data": row.out.test(answer.stdout),
      "stdout has no words": !spoken.test(answer.stdout),
      "no escape codes": !(answer.stdout + answer.stderr).includes(escapeCode),
    });
    return { command: name, faults, answer };
  });

  expect(found).toEqual([]);
});

test.concurrent("with --json every line of stdout is JSON", ofRoom, async ({ expect }) => {
  const room = rooms.json as Room;
  const found = await lookAtEach(room, async ({ name, path, own: ownNames, row, env, code, hasJson }) => {
    const answer = await endOf(start(room, env, [...path, "--json", ...ownNames]), row);
    const lines = answer.stdout.split("\n").filter((line) => line !== "");
    const expected = hasJson ? code : 2;
    const faults = untrue({
      [`code ${expected}`]: answer.code === expected,
      "there is data": lines.length > 0 === (expected === 0 || name === "run"),
      "a refusal says why": hasJson || errorWords.test(answer.stderr),
      "every line is JSON": lines.every(isJson),
      "no escape codes": !(answer.stdout + answer.stderr).includes(escapeCode),
    });
    return { command: name, faults, answer };
  });

  expect(found).toEqual([]);
});

function isJson(line: string): boolean {
  try {
    return typeof JSON.parse(line) === "object";
  } catch {
    return false;
  }
}

test.concurrent(
  "on a terminal every command ends with the same code and shows the cursor",
  ofRoom,
  async ({ expect }) => {
    const room = rooms.terminal as Room;
    const found = await lookAtEach(room, async ({ name, path, own: ownNames, row, env, code }) => {
      const screen = openScreen(
        cli,
        { env: environment(room, env), cwd: join(room.home, "none") },
        ...path,
        ...ownNames,
      );
      if (row.until !== undefined) {
        await screen.shows(row.until);
        screen.press(keys.interrupt);
      }
      const answer = await screen.ended;
      const expected = row.until === undefined ? code : 130;
      const faults = untrue({ [`code ${expected}`]: answer === expected, "the cursor is shown": screen.hasCursor() });
      return { command: name, faults, answer: `${answer}: ${screen.text()}` };
    });

    expect(found).toEqual([]);
  },
);

const conditions = ["without", "expired", "down"] as const;
const usualCodes = [4, 4, 7] as const;

/** Runs every command in a condition in which it fails, several at once. */
async function failAll(condition: (typeof conditions)[number], variables: Variables, atOnce: number): Promise<Fault[]> {
  const room = rooms[condition] as Room;
  const queue = cells(room).filter(({ row }) => row.failing !== "never");
  const found: Fault[] = [];
  const work = async () => {
    for (let cell = queue.shift(); cell; cell = queue.shift()) {
      const { name, path, own: ownNames, row, env } = cell;
      const answer = await start(room, { ...variables, ...env }, [...path, ...ownNames]).ended;
      const codes = row.failing === undefined || row.failing === "never" ? usualCodes : row.failing;
      const expected = codes[conditions.indexOf(condition)] ?? 0;
      found.push({ command: name, faults: failureFaults(answer, expected, row), answer });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return found.filter(({ faults }) => faults.length > 0);
}

function failureFaults({ code, stdout, stderr }: CliAnswer, expected: number, row: CommandCase): string[] {
  const claims = {
    [`code ${expected}`]: code === expected,
    "no escape codes": !(stdout + stderr).includes(escapeCode),
  };
  // For a report, the faults that it lists are data.
  if (expected === 0 || row.isReport) return untrue(claims);
  return untrue({ ...claims, "stdout is empty": stdout === "", "error and hint": errorWords.test(stderr) });
}

test.concurrent(
  "without a key every command that needs one ends with 4 and says how to log in",
  ofRoom,
  async ({ expect }) => {
    expect(await failAll("without", { BERTH_URL: url }, 2)).toEqual([]);
  },
);

test.concurrent(
  "with an expired key every command that needs one ends with 4 and that reason",
  ofRoom,
  async ({ expect }) => {
    expect(await failAll("expired", { BERTH_URL: url, BERTH_API_KEY: expiredKey }, 2)).toEqual([]);
  },
);

test.concurrent(
  "while the stack is down every command that needs it ends with 7 and says how to start one",
  ofRoom,
  async ({ expect }) => {
    // A command repeats a call for seconds, in which it computes nothing.
    expect(await failAll("down", {}, 8)).toEqual([]);
  },
);
