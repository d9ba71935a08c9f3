import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PATIENCE_MS } from "#process/patience.ts";

const root = join(import.meta.dirname, "..");
let home: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-start-"));
});

afterEach(() => {
  if (child?.exitCode === null) child.kill("SIGKILL");
  rmSync(home, { recursive: true });
  rmSync(`${home}-compiled`, { recursive: true, force: true });
});

const environment = () => ({ ...process.env, BERTH_HOME: home, PORT: "0" });

async function start(more: NodeJS.ProcessEnv = {}, options: readonly string[] = [], cwd = root) {
  const words = [...options, "scripts/start.mjs"];
  const process_ = spawn(process.execPath, words, { cwd, env: { ...environment(), ...more } });
  child = process_;
  let output = "";
  for await (const chunk of process_.stdout) {
    output += String(chunk);
    const [, url] = /"event":"started","url":"([^"]+)".*\n/.exec(output) ?? [];
    if (url) {
      // Leaving the loop closes the pipe: the stack has to go on without a reader.
      return { process: process_, url };
    }
  }
  throw new Error(output);
}

/** Has a process print which parts of Node it has loaded when it is stopped. */
const tellsParts =
  '--import=data:text/javascript,process.once("SIGTERM", () => console.error(process.moduleLoadList.join("\\n")))';

describe("npm start", () => {
  it.each([
    ["--help", 0],
    ["--port=80", 2],
  ])("%s starts nothing, and says where settings are", (argument, code) => {
    const { status, stderr } = spawnSync(process.execPath, ["scripts/start.mjs", argument], {
      cwd: root,
      env: environment(),
    });

    expect([status, String(stderr)]).toEqual([code, expect.stringContaining(".env.example has all of them")]);
    expect(readdirSync(home)).toEqual([]);
  });

  it.each(["SIGTERM", "SIGINT"] as const)("is healthy, and ends on %s in good order", async (signal) => {
    const { process: running, url } = await start();
    const response = await fetch(`${url}/live`);

    running.kill(signal);
    const [code] = await once(running, "exit");

    expect([response.status, code]).toEqual([200, 0]);
    await expect(fetch(url)).rejects.toThrow("fetch failed");
  });

  it("refuses damaged records: it names the file, says what to do, and leaves it as it is", async () => {
    const { process: running } = await start();
    running.kill("SIGTERM");
    await once(running, "exit");
    const path = join(home, "records.db");
    const damaged = readFileSync(path).fill("x", 0, 4096);
    writeFileSync(path, damaged);

    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/start.mjs"], {
      cwd: root,
      env: environment(),
      encoding: "utf8",
    });

    const said = `${stdout}${stderr}`;
    expect([status, said]).toEqual([1, expect.stringContaining(`The records in ${path} are damaged: `)]);
    for (const words of ["Put back a copy of it", `sqlite3 ${path} .recover`]) expect(said).toContain(words);
    expect(said).not.toMatch(/ at .*\.ts:\d+/);
    expect(readFileSync(path)).toEqual(damaged);
  });

  it("writes nothing but JSON to a pipe, and the words for people beside it", async () => {
    const running = spawn(process.execPath, ["scripts/start.mjs"], { cwd: root, env: environment() });
    child = running;
    let [output, notes] = ["", ""];
    running.stdout.on("data", (chunk) => {
      output += String(chunk);
    });
    running.stderr.on("data", (chunk) => {
      const isFirst = !notes.includes("Ctrl-C ends");
      notes += String(chunk);
      if (isFirst && notes.includes("Ctrl-C ends")) running.kill("SIGINT");
    });

    await once(running, "close");

    const lines = output.trimEnd().split("\n");
    const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
    expect(events).toEqual(expect.arrayContaining(["started", "stopping", "stopped"]));
    expect(notes).toContain(`eval "$(BERTH_HOME=${home} npm run --silent env)"`);
    expect(notes).toContain("Stopping. No environment runs.");
    expect(notes).toContain(
      `Stopped: every environment that ran has ended. Disks and records are in ${home}; what still waited starts`,
    );
  });

  it("loads the endpoints without the clients of AWS and the texts of zod, which it never asks", async () => {
    // Not in its home, which is refused where something else was first.
    const directory = `${home}-compiled`;
    const { process: running } = await start({ NODE_V8_COVERAGE: directory });

    running.kill("SIGTERM");
    await once(running, "exit");

    const loaded = readdirSync(directory).map((file) => readFileSync(join(directory, file), "utf8"));
    const loads = (path: string) => loaded.some((text) => text.includes(path));
    const paths = ["/functions/gpu-dev/jobs/submit.ts", "/@aws-sdk/client-", "/zod/v4/locales/de.js"];
    expect(paths.map(loads)).toEqual([true, false, false]);
  });

  it("does not hold Node's stripper of types (20 MB), not even when nothing is compiled yet", async () => {
    const { process: running } = await start({ NODE_COMPILE_CACHE: `${home}-compiled` }, [tellsParts]);

    running.kill("SIGTERM");
    const parts = await text(running.stderr);

    expect([parts.includes("NativeModule sqlite"), parts.includes("amaro")]).toEqual([true, false]);
  });

  it("does not hold it after the first start of a checkout and after an update, for which it compiles once", async () => {
    const cwd = freshCheckout(`${home}-compiled`);
    const file = join(cwd, "packages/local/printable.ts");
    const startOnce = async () => {
      const { process: running } = await start({ NODE_COMPILE_CACHE: undefined }, [tellsParts], cwd);
      running.kill("SIGTERM");
      return { holdsIt: (await text(running.stderr)).includes("amaro"), compiled: compiledIn(cwd) };
    };

    const first = await startOnce();
    writeFileSync(file, `${readFileSync(file, "utf8")}// Changed.\n`);
    const updated = await startOnce();
    const again = await startOnce();

    expect([first, updated, again].map(({ holdsIt }) => holdsIt)).toEqual([false, false, false]);
    expect(updated.compiled).not.toEqual(first.compiled);
    expect(again.compiled).toEqual(updated.compiled);
  });

  it("says in one line what is wrong and fails", () => {
    const env = { ...environment(), KEY_TTL_HOURS: "soon" };
    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/start.mjs"], {
      cwd: root,
      env,
      encoding: "utf8",
    });

    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toBe("Bad settings:\n  KEY_TTL_HOURS must be a whole number from 1 to 168\n");
  });

  it("says it without a command to the terminal, whatever a setting holds", () => {
    const file = join(home, "\u001b]0;title\u0007\u009b2J");
    writeFileSync(file, "");
    const env = { ...environment(), BERTH_HOME: file };
    const { status, stderr } = spawnSync(process.execPath, ["scripts/start.mjs"], { cwd: root, env, encoding: "utf8" });

    expect(status).toBe(1);
    expect(stderr).toContain("/ ]0;title 2J cannot be made: a file has that name.");
    expect(stderr.replaceAll("\n", "")).toMatch(/^[ -~]*$/);
  });

  it.for([
    ["PORT", "or to 0 for any free one"],
    ["METRICS_PORT", "or to 0 for any free one"],
    ["SSH_PORT", "or leave it empty for any free one"],
  ] as const)("says of a %s that its user may not listen on it", ([setting, otherwise], { skip }) => {
    if (firstPortOfUsers() <= 80) return skip("on this machine every user may listen on port 80");
    // Still root, who may read this checkout wherever it is, but without the right to such ports.
    const powerless = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-net_bind_service"] : [];
    const env = { ...environment(), BERTH_HOME: join(home, "inner"), [setting]: "80" };
    const options = { cwd: root, env, encoding: "utf8", timeout: PATIENCE_MS } as const;
    const [program = "", ...words] = [...powerless, process.execPath, "scripts/start.mjs"];

    const { status, stderr } = spawnSync(program, words, options);

    const sentence = `Port 80 needs rights that you do not have.\nSet ${setting} to another one, ${otherwise}.\n`;
    expect([status, stderr]).toEqual([1, sentence]);
  });
});

/** This project, but with a directory of installed packages in which nothing was compiled. Answers where it is. */
function freshCheckout(path: string): string {
  const installed = join(root, "node_modules");
  mkdirSync(join(path, "node_modules"), { recursive: true });
  for (const name of readdirSync(installed).filter((each) => each !== ".cache"))
    symlinkSync(join(installed, name), join(path, "node_modules", name));
  for (const name of ["packages", "functions", "scripts", "package.json"])
    cpSync(join(root, name), join(path, name), { recursive: true });
  return path;
}

/** When all was compiled there. */
function compiledIn(checkout: string): string[] {
  const cache = join(checkout, "node_modules/.cache/stack");
  return readdirSync(cache, { recursive: true, encoding: "utf8" })
    .filter((name) => /files-\d+$/.test(name))
    .map((name) => `${name} ${statSync(join(cache, name)).mtimeMs}`);
}

/** Elsewhere than on Linux it is not known, and taken for none. */
function firstPortOfUsers(): number {
  const setting = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
  return existsSync(setting) ? Number(readFileSync(setting, "utf8")) : 0;
}

describe("npm run env", () => {
  it("prints nothing for a shell to run when no stack runs", () => {
    const options = { cwd: root, env: environment(), encoding: "utf8" } as const;

    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/env.ts", "--wait", "0"], options);

    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(`No local stack is running in ${home}. Start one with: npm start\n`);
  });

  it.each([
    [["--help"], 0, /--user NAME[\s\S]*--fresh[\s\S]*--wait SECONDS/],
    [["--wait", "soon"], 1, /^--wait must be a number of seconds\n$/],
    [["--lots"], 1, /Unknown option '--lots'/],
  ] as const)("says with %j what it takes, and prints nothing for a shell to run", (words, code, saying) => {
    const options = { cwd: root, env: environment(), encoding: "utf8" } as const;

    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/env.ts", ...words], options);

    expect([status, stdout]).toEqual([code, ""]);
    expect(stderr).toMatch(saying);
  });
});

describe("npm run dev", () => {
  it("starts the stack again when a file that it loaded has changed", async () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const words = String(scripts.dev).split(" && exec node ")[1]?.split(" ") ?? ["--version"];
    const running = spawn(process.execPath, words, { cwd: root, env: environment() });
    child = running;
    let output = "";
    // Who watches hears of a file from the stack, and on a busy machine after the stack says that it is up.
    const changing = setInterval(() => {
      const isUp = output.includes("Ctrl-C ends") && !output.includes("Restarting");
      if (isUp) utimesSync(join(root, "functions/shared/live.ts"), new Date(), new Date());
    }, 500);
    const read = (chunk: unknown) => {
      output += String(chunk);
      if (output.split("Ctrl-C ends").length > 2) running.kill("SIGTERM");
    };
    running.stdout.on("data", read);
    running.stderr.on("data", read);

    await once(running, "close");
    clearInterval(changing);

    expect(output).toMatch(/Ctrl-C ends.*Restarting.*Stopped: every environment that ran has ended.*Ctrl-C ends/s);
  });
});
