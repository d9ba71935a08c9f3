import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";
import { readRegistryLogin } from "./jobs/submit-request.ts";

afterEach(() => vi.unstubAllEnvs());

let cli: CliFixture;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=1" });
  await cli.run("login");
});
afterAll(() => cli.close());

test("the password of a registry comes from the environment, and is printed nowhere", async () => {
  const env = { REGISTRY_PASSWORD: "pa55-word" };
  const words = [
    "up",
    "--type",
    "cpu",
    "--image",
    "registry.test/x",
    "--registry-user",
    "robot",
    "private",
    "--",
    "true",
  ];

  const up = await cli.runWith({ env }, ...words);
  const shown = await cli.run("show", "private", "--json");

  expect(up.code).toBe(0);
  expect([up, shown].flatMap(({ stdout, stderr }) => [stdout, stderr]).join()).not.toContain("pa55-word");
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
