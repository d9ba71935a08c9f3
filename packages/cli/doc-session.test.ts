import { expect, test } from "vitest";
import { runShown } from "./doc-session-fixture.ts";

test("a command that a page shows with ^C is interrupted with the processes it started, as by a terminal", async () => {
  // As npm exec does, the outer shell outlives the signal and waits for its child.
  const command = "sh -c 'trap : INT; (echo starts; exec sleep 3600); echo ended'";

  const output = await runShown({ command, output: "^C\n" }, import.meta.dirname, process.env);

  expect(output).toBe("starts\n^C\nended\n");
});
