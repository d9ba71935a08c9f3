import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";

let cli: CliFixture;
beforeAll(async () => {
  cli = await openCliFixture({
    MACHINE_TYPES: "g6e.12xlarge=l40s:4:48:384",
    LOCAL_NODES: "g6e.12xlarge=1,c7i.8xlarge=1",
  });
  await cli.run("login");
});
afterAll(() => cli.close());

test("a type that only this deployment has starts as others do", async () => {
  const up = await cli.run("up", "own", "--type", "l40s", "--gpus", "2", "--", "sleep 600");
  const { stdout: available } = await cli.run("avail");
  const { stdout } = await cli.run("show", "own", "--json");

  expect(up).toMatchObject({ code: 0, stderr: expect.stringContaining("2 × l40s") });
  expect(JSON.parse(stdout)).toMatchObject({ instance_type: "g6e.12xlarge", gpu_type: "l40s", gpu_count: 2 });
  expect(available).toMatch(/l40s +2/);
});

test("a number of GPUs that its machines do not have is refused with those that they have", async () => {
  const { code, stderr } = await cli.run("up", "--type", "l40s", "--gpus", "3");

  expect([code, stderr]).toEqual([2, expect.stringContaining("g6e.12xlarge offers 1, 2, 4, 8,")]);
});

test("a type that no machine has is refused with all types of this deployment", async () => {
  const { code, stderr } = await cli.run("up", "--type", "l40ss");

  expect(code).toBe(2);
  expect(stderr).toContain("There is no type 'l40ss'. Did you mean l40s?");
  expect(stderr).toMatch(/Types are t4, .*, cpu, l40s/);
});

test("berth.yaml may name such a type", async () => {
  await writeFile(join(cli.state, "berth.yaml"), "type: l40s\ngpus: 4\n");

  const { code, stdout } = await cli.runWith({ cwd: cli.state }, "up", "--dry-run", "--json");

  expect([code, JSON.parse(stdout)]).toMatchObject([0, { gpu_hours: 4 }]);
});
