import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type CliFixture, cleanEnvironment, openCliFixture } from "./cli-fixture.ts";
import { closeScreens, openScreen } from "./screen-fixture.ts";
import { shellWord } from "./terminal/text.ts";

let cli: CliFixture;
let home: string;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "p5.48xlarge=1,c7i.8xlarge=4" });
  await cli.run("login");
  await cli.run("up", "-t", "cpu", "--disk", "notes", "Edited");
});
afterAll(async () => {
  closeScreens();
  await cli.close();
});

/** Each test has a HOME, without a display and with a directory for programs at the front of the PATH. */
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-editor-"));
  mkdirSync(join(home, "bin"));
  return () => rmSync(home, { recursive: true });
});

const environment = () => ({
  HOME: home,
  PATH: `${join(home, "bin")}:/usr/bin:/bin`,
  DISPLAY: "",
  WAYLAND_DISPLAY: "",
  WSL_DISTRO_NAME: "",
  // Without desktop files xdg-open starts the program of BROWSER.
  XDG_CURRENT_DESKTOP: "",
  XDG_DATA_DIRS: home,
  XDG_DATA_HOME: home,
});

const run = (...words: string[]) => cli.runWith({ env: environment() }, ...words);

/** Puts a program on the PATH that records its words, one a line, in a file that appears whole. */
function addProgram(name: string, exitCode = 0): () => string[] | undefined {
  const record = join(home, `${name}-words`);
  const script = `#!/bin/sh\nprintf '%s\\n' "$@" > '${record}.part'\nmv '${record}.part' '${record}'\nexit ${exitCode}\n`;
  writeFileSync(join(home, "bin", name), script, { mode: 0o755 });
  return () => (existsSync(record) ? readFileSync(record, "utf8").trimEnd().split("\n") : undefined);
}

/** OpenSSH reads the file of the account and not of HOME, so the test names the file. */
function ssh(...words: string[]) {
  const all = ["-F", join(home, ".ssh/config"), ...words];
  return spawnSync("ssh", all, { env: cleanEnvironment(), encoding: "utf8" });
}

test("code and cursor start the editor's program with a host that ssh reaches and the directory of the disk", async () => {
  const words = { code: addProgram("code"), cursor: addProgram("cursor") };
  await run("ssh-config", "on");

  for (const editor of ["code", "cursor"] as const) {
    const answer = await run(editor, "Edited");

    expect(answer).toMatchObject({ code: 0, stdout: "" });
    const [flag, authority, path = "", ...rest] = words[editor]() ?? [];
    expect([flag, authority, rest]).toEqual(["--remote", "ssh-remote+berth-edited", []]);
    expect(ssh("berth-edited", `echo "$WORKSPACE"`).stdout).toBe(`${path}\n`);
    expect(ssh("berth-edited", "pwd").stdout).toBe(`${path}\n`);
  }
});

test("a program that fails makes the command fail with its exit code and the link in the hint", async () => {
  addProgram("code", 3);
  await run("ssh-config", "on");

  const answer = await run("code", "Edited");

  expect(answer).toMatchObject({ code: 1, stdout: "" });
  expect(answer.stderr).toMatch(
    /^error: code ended with exit code 3\nhint: Open this link: vscode:\/\/vscode-remote\/ssh-remote\+berth-edited\/\S+\n$/,
  );
});

test("--print prints the link, and starts no program", async () => {
  const words = addProgram("code");
  await run("ssh-config", "on");

  const printed = await run("code", "Edited", "--print");

  expect(printed).toMatchObject({ code: 0, stderr: "" });
  expect(printed.stdout).toBe(`vscode://vscode-remote/ssh-remote+berth-edited${ssh("berth-edited", "pwd").stdout}`);
  expect((await run("cursor", "Edited", "--print")).stdout).toBe(printed.stdout.replace(/^vscode:/, "cursor:"));
  expect(words()).toBeUndefined();
});

test("without the program the desktop opens the link, and without a display the link is printed", async () => {
  const opened = addProgram("browser");
  await run("ssh-config", "on");
  const { stdout: link } = await run("code", "Edited", "--print");

  const printed = await run("code", "Edited");
  expect(printed).toMatchObject({ code: 0, stdout: link });
  expect(printed.stderr).toBe("There is neither code on the PATH nor a display, so open this link yourself.\n");

  const env = { ...environment(), DISPLAY: ":99", BROWSER: join(home, "bin/browser") };
  expect(await cli.runWith({ env }, "code", "Edited")).toMatchObject({ code: 0, stdout: link });
  await expect.poll(opened).toEqual([link.trim()]);
});

test("in a pipe without the Include line the error names the command that puts it there", async () => {
  const words = addProgram("code");

  for (const flags of [[], ["--print"]]) {
    const answer = await run("code", "Edited", ...flags);

    expect(answer).toMatchObject({ code: 2, stdout: "" });
    expect(answer.stderr).toMatch(
      /^error: VS Code finds jobs by ~\/\.ssh\/config, .*\nhint: .*: berth ssh-config on\n$/,
    );
  }
  expect(words()).toBeUndefined();
  expect(existsSync(join(home, ".ssh/config"))).toBe(false);
});

test("on a terminal it asks for the Include line, and a no changes and opens nothing", async () => {
  const words = addProgram("code");
  const refused = openScreen(cli, { env: environment() }, "code", "Edited");
  await refused.shows("[y/N]");
  refused.press("n\r");
  expect(await refused.ended).toBe(1);
  expect(refused.text()).toContain("Nothing was opened");
  expect(existsSync(join(home, ".ssh/config"))).toBe(false);
  expect(words()).toBeUndefined();

  const agreed = openScreen(cli, { env: environment() }, "code", "Edited");
  await agreed.shows("[y/N]");
  agreed.press("y\r");
  expect(await agreed.ended).toBe(0);
  expect(words()?.[1]).toBe("ssh-remote+berth-edited");
  expect(ssh("berth-edited", "echo in").stdout).toBe("in\n");
});

test("a queued job is opened once it is active, and an ended one is not", async () => {
  const words = addProgram("code");
  await run("ssh-config", "on");
  await cli.run("up", "-t", "h100", "-g", "8", "blocks");
  await cli.run("up", "-d", "-t", "h100", "-g", "8", "waits");
  const opening = cli.start({ env: environment() }, "code", "waits");
  await opening.says(/Waiting for waits/);
  expect(words()).toBeUndefined();

  await cli.run("end", "blocks");

  expect(await opening.ended).toMatchObject({ code: 0 });
  expect(words()?.[1]).toBe("ssh-remote+berth-waits");
  await cli.run("end", "waits");
  expect(await run("code", "waits")).toMatchObject({ code: 1, stdout: "" });
  expect(await run("code", "nothing")).toMatchObject({ code: 3, stdout: "" });
});

test("hostile names and paths of a job stay arguments of the program and parts of the link, without a shell", async () => {
  const words = addProgram("code");
  const touched = join(home, "touched");
  const startFile = join(home, "bashrc");
  await run("ssh-config", "on");
  await cli.run("up", "-t", "cpu", `$(touch ${touched})`);
  const { job_id = "" } = JSON.parse((await cli.run("ls", "--json")).stdout)[0];
  const host = `berth-${job_id.slice(0, 8)}`;
  const nameWorkspace = async (workspace: string) => {
    // A bash that sshd starts reads this file.
    writeFileSync(startFile, `echo /printed/by/the/job\nexport WORKSPACE=${shellWord(workspace)}\n`);
    expect((await cli.run("cp", startFile, `${job_id.slice(0, 8)}:.bashrc`)).code).toBe(0);
  };

  const workspace = `/tmp/a b#c?d%e$(touch ${touched});'"\`touch ${touched}\`&--wait`;
  await nameWorkspace(workspace);
  expect(await run("code", job_id)).toMatchObject({ code: 0 });
  const link = new URL((await run("code", job_id, "--print")).stdout.trim());

  expect(words()).toEqual(["--remote", `ssh-remote+${host}`, workspace]);
  expect([link.host, link.search, link.hash]).toEqual(["vscode-remote", "", ""]);
  expect(decodeURIComponent(link.pathname)).toBe(`/ssh-remote+${host}${workspace}`);
  expect(existsSync(touched)).toBe(false);

  for (const bad of ["--new-window", "relative/path", "/tmp/\u001B[31mred"]) {
    await nameWorkspace(bad);
    const refused = await run("code", job_id, "--print");
    expect(refused, bad).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(/^error: The job reported an invalid workspace path: [-\w/\uFFFD[]*\nhint: .*\n$/);
  }
  await cli.run("end", job_id);
});

test("the id of the older of two jobs with one name opens that job", async () => {
  const words = addProgram("code");
  await run("ssh-config", "on");
  const older = JSON.parse((await cli.run("show", "Edited", "--json")).stdout).job_id as string;
  await cli.run("up", "-t", "cpu", "Edited");

  await run("code", older);

  expect(words()?.[1]).toBe(`ssh-remote+berth-${older.slice(0, 8)}`);
  expect(ssh(`berth-${older.slice(0, 8)}`, "pwd").stdout).toBe(`${words()?.[2]}\n`);
});
