import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemPath } from "#process/environment.ts";
import { canSandbox } from "#process/sandbox-probe.ts";
import { jobClient } from "./job-client.ts";
import { openStackTrial, type StackTrial } from "./stack-trial.ts";

const hasSandbox = canSandbox();
const programs = systemPath.split(":").map((directory) => join(directory, "bwrap"));
/** Everything as it is, but that bubblewrap cannot be run: with its own help, where it works. */
const hidden = programs
  .filter((program) => existsSync(program))
  .flatMap((program) => ["--ro-bind", "/dev/null", program]);
const withoutSandbox = ["bwrap", "--dev-bind", "/", "/", ...hidden, "--"];
let trial: StackTrial;

beforeEach(() => {
  trial = openStackTrial("berth-isolation-");
});

afterEach(() => trial.close());

describe("how environments are kept apart", () => {
  it.each([
    ["none", withoutSandbox],
    ["bubblewrap", []],
  ])("is said openly: %s", async (isolation, under) => {
    const expected = hasSandbox ? isolation : "none";
    const stack = await trial.start({}, { under: hasSandbox ? under : [] });
    const jobs = jobClient(stack.url, (await stack.env()).API_KEY ?? "");
    const id = await jobs.submit({ instance_type: "c7i.8xlarge" });

    const job = await jobs.until(id, ({ status }) => status === "active");
    const health = await fetch(`${stack.url}/health`);

    expect(await health.json()).toMatchObject({ status: "healthy", isolation: expected });
    expect(job.isolation).toBe(expected);
    expect(stack.output()).toContain(`(isolation: ${expected}; limits: `);
  });
});
