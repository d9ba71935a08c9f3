import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findNetwork } from "#process/network-probe.ts";
import { canSandbox } from "#process/sandbox-probe.ts";
import { jobClient } from "./job-client.ts";
import { openStackTrial, type StackTrial } from "./stack-trial.ts";
import { withoutProgram } from "./without-program.ts";

const hasSandbox = canSandbox();
const network = hasSandbox ? findNetwork() : "shared";
const without = (program: string): string[] => (hasSandbox ? withoutProgram(program) : []);
let trial: StackTrial;

beforeEach(() => {
  trial = openStackTrial("berth-isolation-");
});

afterEach(() => trial.close());

describe("how environments are kept apart", () => {
  it.each([
    ["none", without("bwrap")],
    ["bubblewrap, shared network", without("slirp4netns")],
    [`bubblewrap, ${network} network`, []],
  ])("is said openly: %s", async (isolation, under) => {
    const expected = hasSandbox ? isolation : "none";
    const stack = await trial.start({}, { under });
    const jobs = jobClient(stack.url, (await stack.env()).API_KEY ?? "");
    const id = await jobs.submit({ instance_type: "c7i.8xlarge" });

    const job = await jobs.until(id, ({ status }) => status === "active");
    const health = await fetch(`${stack.url}/health`);

    expect(await health.json()).toMatchObject({ status: "healthy", isolation: expected });
    expect(job.isolation).toBe(expected);
    expect(stack.output()).toContain(`(isolation: ${expected}; limits: `);
  });
});
