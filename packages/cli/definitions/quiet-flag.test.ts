import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openServer } from "../../sdk/server-fixture.ts";
import { commandNames } from "../app.ts";
import { cleanEnvironment, startCli } from "../cli-fixture.ts";
import { takeQuiet } from "./quiet-flag.ts";

test.each(commandNames.filter((name) => name !== "rsync"))("%s takes --quiet before and behind its name", (name) => {
  const rest = ["x", "--", "--quiet"];

  for (const line of [
    ["--quiet", name, ...rest],
    [name, "--quiet", ...rest],
    [name, "x", "--quiet", "--", "--quiet"],
  ]) {
    expect(takeQuiet(line)).toEqual({ isQuiet: true, line: [name, ...rest] });
  }
});

test.each([["run", "x", "--", "curl", "--quiet"], ["ls"], ["rsync", "-a", "--quiet", "a", "x:b"], []])(
  "nothing is taken from %j",
  (...line) => {
    expect(takeQuiet(line)).toEqual({ isQuiet: false, line });
  },
);

test.each([
  ["--quiet", "rsync"],
  ["rsync", "--quiet"],
  ["rsync", "--json", "--quiet"],
  ["rsync", "--quiet", "--json"],
])("rsync keeps its own --quiet behind %j", (...start) => {
  const { isQuiet, line } = takeQuiet([...start, "-a", "--quiet"]);

  expect(isQuiet).toBe(true);
  expect(line).toEqual([...start.filter((word) => word !== "--quiet"), "-a", "--quiet"]);
});

test("--quiet hides notes and no error, and Tab completes it once", async () => {
  const state = mkdtempSync(join(tmpdir(), "berth-quiet-"));
  const server = await openServer(({ path }) =>
    path.startsWith("/v1/jobs") ? { body: { jobs: [], total: 0, limit: 1, offset: 0 } } : { status: 404, body: {} },
  );
  onTestFinished(() => {
    server.close();
    rmSync(state, { recursive: true });
  });
  const env = { ...cleanEnvironment(), XDG_CONFIG_HOME: state, BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };
  const run = (...words: string[]) => startCli(env, {}, words).ended;

  const [loud, quiet, first, failed, proposed, taken] = await Promise.all([
    run("ls"),
    run("ls", "--quiet"),
    run("--quiet", "ls"),
    run("show", "none", "--quiet"),
    run("__complete", "ls", "--qu"),
    run("__complete", "ls", "--quiet", "--qu"),
  ]);

  expect(loud).toEqual({ code: 0, stdout: "", stderr: "You have no live jobs. See all with: berth ls --all\n" });
  expect([quiet, first]).toEqual(Array(2).fill({ code: 0, stdout: "", stderr: "" }));
  expect(failed).toMatchObject({ code: 3, stdout: "", stderr: expect.stringMatching(/^error: .*\nhint: /) });
  expect([proposed.stdout, taken.stdout]).toEqual(["--quiet\n", ""]);
});
