import { join } from "node:path";
import { describe, it } from "vitest";
import type { Program } from "#gateway/ports/reach.ts";
import { eventually, openFixture } from "#process/fixture.ts";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { reachConformance } from "#tests/conformance/reach.ts";
import { sandboxPorts } from "./sandbox-ports.ts";

/** Prints its port. */
const echo = `require("node:net")
  .createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket))
  .listen(0, "127.0.0.1", function () { console.log(this.address().port) })`;

describe.each(["bubblewrap", "none"] as const)("the reach into a sandbox, isolation %s", (isolation) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has none that works"));
    return;
  }

  reachConformance(async () => {
    const fixture = openFixture({ isolation });
    await fixture.compute.apply(fixture.runOf({ command: undefined }));
    await eventually(fixture.observe, (seen) => seen?.state === "ready");
    const { reach } = sandboxPorts(fixture.home);
    const run = `${fixture.uid}-r1`;
    const node = isolation === "none" ? process.execPath : join(fixture.home, "tools/node");
    const server = await reach.start(run, {
      program: { command: `exec ${node} -e '${echo}'` },
      env: {},
      terminal: undefined,
    });
    return {
      reach,
      run,
      endedRun: `${"0".repeat(32)}-r1`,
      place: "$HOME",
      echoPort: Number(await firstLine(server)),
      closedPort: 9,
      close: async () => {
        await server.hangUp();
        await server.ended;
        await fixture.close();
      },
    };
  });
});

async function firstLine({ output }: Program): Promise<string> {
  let all = "";
  for await (const part of output.iterator({ destroyOnReturn: false })) {
    all += String(part);
    if (all.includes("\n")) break;
  }
  return all.trim();
}
