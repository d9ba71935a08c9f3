import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { openStartFixture, root, type StartFixture } from "./start-fixture.ts";

let fixture: StartFixture;
beforeEach(() => {
  fixture = openStartFixture();
});
afterEach(() => fixture.close());

describe("npm start", () => {
  it.each([
    ["--help", 0],
    ["--port=80", 2],
  ])("starts nothing with %s, and says where settings are", (argument, code) => {
    const { status, stderr } = spawnSync(process.execPath, ["scripts/start.mjs", argument], {
      cwd: root,
      env: fixture.environment(),
    });

    expect([status, String(stderr)]).toEqual([code, expect.stringContaining(".env.example has all of them")]);
    expect(readdirSync(fixture.home)).toEqual([]);
  });

  it.each(["SIGTERM", "SIGINT"] as const)("is healthy, and ends cleanly on %s", async (signal) => {
    const { process: running, url } = await fixture.start();
    const response = await fetch(`${url}/live`);

    running.kill(signal);
    const [code] = await once(running, "exit");

    expect([response.status, code]).toEqual([200, 0]);
    await expect(fetch(url)).rejects.toThrow("fetch failed");
  });

  it("refuses damaged records with the file and instructions, and keeps the file", async () => {
    const { process: running } = await fixture.start();
    running.kill("SIGTERM");
    await once(running, "exit");
    const path = join(fixture.home, "records.db");
    const damaged = readFileSync(path).fill("x", 0, 4096);
    writeFileSync(path, damaged);

    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/start.mjs"], {
      cwd: root,
      env: fixture.environment(),
      encoding: "utf8",
    });

    const said = `${stdout}${stderr}`;
    expect([status, said]).toEqual([1, expect.stringContaining(`The records in ${path} are damaged: `)]);
    for (const words of ["Restore a copy of it", `sqlite3 ${path} .recover`]) expect(said).toContain(words);
    expect(said).not.toMatch(/ at .*\.ts:\d+/);
    expect(readFileSync(path)).toEqual(damaged);
  });

  it("writes only JSON to a pipe, and messages to standard error", async () => {
    const running = fixture.run(["scripts/start.mjs"]);
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
    expect(notes).toContain(`eval "$(BERTH_HOME=${fixture.home} npm run --silent env)"`);
    expect(notes).toContain("Stopping. No environment runs.");
    expect(notes).toContain(
      `Stopped: every environment that ran has ended. Disks and records are in ${fixture.home}; waiting ones start`,
    );
  });

  it("fails with a message of one line", () => {
    const env = fixture.environment({ KEY_TTL_HOURS: "soon" });
    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/start.mjs"], {
      cwd: root,
      env,
      encoding: "utf8",
    });

    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toBe("Bad settings:\n  KEY_TTL_HOURS must be a whole number from 1 to 168\n");
  });

  it("prints no terminal commands from settings", () => {
    const file = join(fixture.home, "\u001b]0;title\u0007\u009b2J");
    writeFileSync(file, "");
    const env = fixture.environment({ BERTH_HOME: file });
    const { status, stderr } = spawnSync(process.execPath, ["scripts/start.mjs"], { cwd: root, env, encoding: "utf8" });

    expect(status).toBe(1);
    expect(stderr).toContain("/ ]0;title 2J cannot be created: a file has that name.");
    expect(stderr.replaceAll("\n", "")).toMatch(/^[ -~]*$/);
  });

  it.for([
    ["PORT", "or to 0 for any free port"],
    ["METRICS_PORT", "or to 0 for any free port"],
    ["SSH_PORT", "or leave it empty for any free port"],
  ] as const)("reports that its user may not listen on a %s", ([setting, otherwise], { skip }) => {
    if (firstPortOfUsers() <= 80) return skip("on this machine every user may listen on port 80");
    // Root can read this checkout anywhere, but here lacks the right to such ports.
    const powerless = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-net_bind_service"] : [];
    const env = fixture.environment({ BERTH_HOME: join(fixture.home, "inner"), [setting]: "80" });
    const options = { cwd: root, env, encoding: "utf8", timeout: PATIENCE_MS } as const;
    const [program = "", ...words] = [...powerless, process.execPath, "scripts/start.mjs"];

    const { status, stderr } = spawnSync(program, words, options);

    const sentence = `Port 80 needs rights that you do not have.\nSet ${setting} to another port, ${otherwise}.\n`;
    expect([status, stderr]).toEqual([1, sentence]);
  });
});

/** Returns 0 on systems other than Linux, where the limit is unknown. */
function firstPortOfUsers(): number {
  const setting = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
  return existsSync(setting) ? Number(readFileSync(setting, "utf8")) : 0;
}
