import { afterEach, beforeEach, expect, it } from "vitest";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { isOver, jobClient } from "./job-client.ts";
import { openStackFixture, type StackFixture } from "./stack-fixture.ts";
import { withoutProgram } from "./without-program.ts";

let fixture: StackFixture;

beforeEach(() => {
  fixture = openStackFixture("berth-login-shell-");
});

afterEach(() => fixture.close());

it("a job's command is run by sh if the machine has no bash", async ({ skip }) => {
  if (!canSandbox()) return skip("this machine has no bubblewrap that works");
  const stack = await fixture.start({}, { under: withoutProgram("bash") });
  const jobs = jobClient(stack.url, (await stack.env()).API_KEY ?? "");

  const id = await jobs.submit({ instance_type: "c7i.8xlarge", command: '[ -z "$BASH_VERSION" ] && exit 43' });

  const { status, status_reason } = await jobs.until(id, isOver);
  expect([status, status_reason]).toEqual(["failed", "command exited with code 43"]);
});
