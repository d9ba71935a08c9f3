import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { openServer } from "../sdk/server-fixture.ts";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";
import { readRegistryLogin } from "./jobs/submit-request.ts";

afterEach(() => vi.unstubAllEnvs());

let cli: CliFixture;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=3" });
  await cli.run("login");
});
afterAll(() => cli.close());

test("up and run submit the password of the environment, and print it nowhere", async () => {
  const bodies: string[] = [];
  const recording = await openServer(async ({ method, path, body, headers }) => {
    if (path === "/v1/jobs/submit") bodies.push(String(body));
    const { authorization = "" } = headers;
    const sent = {
      method,
      headers: { authorization, "content-type": "application/json" },
      ...(method === "POST" && { body }),
    };
    const response = await fetch(cli.running.url + path, sent);
    return { status: response.status, body: await response.json() };
  });
  onTestFinished(() => recording.close());
  const key = /API_KEY='([^']+)'/.exec((await cli.run("env")).stdout)?.[1] ?? "";
  const env = { REGISTRY_PASSWORD: "pa55-word", BERTH_URL: recording.url, BERTH_API_KEY: key };
  const words = ["--type", "cpu", "--image", "registry.test/x", "--registry-user", "robot"];

  const up = await cli.runWith({ env }, "up", ...words, "private", "--detach");
  const run = await cli.runWith({ env, cwd: cli.state }, "run", ...words, "--yes", "--", "true");

  expect(bodies.map((body) => JSON.parse(body).registry_auth)).toEqual(
    Array(2).fill({ username: "robot", password: "pa55-word" }),
  );
  expect([up, run].flatMap(({ stdout, stderr }) => [stdout, stderr]).join()).not.toContain("pa55-word");
});

test("the login has the user of the flag, and the password of the environment", () => {
  vi.stubEnv("REGISTRY_PASSWORD", "pa55-word");

  expect(readRegistryLogin("robot")).toEqual({ username: "robot", password: "pa55-word" });
  expect(readRegistryLogin(undefined)).toBeUndefined();
});

test.each([
  [["--image", "registry.test/x"], "--registry-user needs the password in REGISTRY_PASSWORD"],
  [[], "--registry-user needs the image on the command line: --image"],
])("a user with the flags %j alone is refused before anything is submitted", async (words, problem) => {
  const { code, stderr } = await cli.run("up", "--type", "cpu", "--registry-user", "robot", ...words);

  expect([code, stderr]).toEqual([2, expect.stringContaining(problem)]);
});

test("an estimate needs no password", async () => {
  const words = ["--registry-user", "robot", "--image", "registry.test/x", "--dry-run"];

  expect(await cli.run("up", "--type", "cpu", ...words)).toMatchObject({ code: 0 });
});
