import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openSshFixture, type SshFixture } from "./ssh-fixture.ts";

/** Longer than a supervisor on a busy machine was waited for once, when sessions and forwards failed there. */
const LATE_MS = 4_000;

let fixture: SshFixture;
beforeEach(async () => {
  fixture = await openSshFixture("none");
  await fixture.begin();
});
afterEach(() => fixture.close());

it("a session waits for an environment whose supervisor starts late, as on a busy machine", async () => {
  process.kill(fixture.supervisorPid(), "SIGSTOP");
  const said = fixture.say("echo hello");
  await sleep(LATE_MS);
  process.kill(fixture.supervisorPid(), "SIGCONT");

  expect(await said).toMatchObject({ code: 0, out: "hello\n" });
});
