import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findNetwork } from "#process/network/network-probe.ts";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { jobClient } from "./job-client.ts";
import { openStackFixture, type StackFixture } from "./stack-fixture.ts";
import { withoutProgram } from "./without-program.ts";

const hasSandbox = canSandbox();
const network = hasSandbox ? findNetwork() : "shared";
const without = (program: string): string[] => (hasSandbox ? withoutProgram(program) : []);
let fixture: StackFixture;

beforeEach(() => {
  fixture = openStackFixture("berth-isolation-");
});

afterEach(() => fixture.close());

describe("the isolation of environments", { retry: 0 }, () => {
  it.each([
    ["none", "bwrap is not here", without("bwrap")],
    // The sandbox would start, but later commands could not enter it.
    ["none", "nsenter is not here", without("nsenter")],
    ["bubblewrap, shared network", "slirp4netns is not here", without("slirp4netns")],
    [`bubblewrap, ${network} network`, "all that this machine has is here", []],
  ])("is shown as %s if %s", async (isolation, _, under) => {
    const expected = hasSandbox ? isolation : "none";
    const stack = await fixture.start({}, { under });
    const jobs = jobClient(stack.url, (await stack.env()).API_KEY ?? "");
    const id = await jobs.submit({ instance_type: "c7i.8xlarge" });

    const job = await jobs.until(id, ({ status }) => status === "active");
    const health = await fetch(`${stack.url}/health`);

    expect(await health.json()).toMatchObject({ status: "healthy", isolation: expected });
    expect(job.isolation).toBe(expected);
    expect(stack.output()).toContain(`"isolation":"${expected}","limits":"`);
  });
});
