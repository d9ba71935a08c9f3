import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { MOST_CONNECTIONS } from "#http/request/connection-limit.ts";
import { openShellStack, type ShellStack } from "./shell-fixture.ts";

describe("the web shell of the local stack", () => {
  let shells: ShellStack;
  beforeAll(async () => {
    shells = await openShellStack();
  });
  afterAll(() => shells.close());

  it("runs typed commands, and keeps its directory", async () => {
    const { send, next } = await shells.connect();
    const typed = async (command: string, more: object = {}) => {
      send({ type: "command", command, ...more });
      const { stdout, stderr, returncode, current_directory } = await next();
      return [stdout, stderr, returncode, current_directory];
    };

    expect(await typed("mkdir -p 'a b' && cd 'a b'")).toEqual(["", "", 0, "/workspace/a b"]);
    expect(await typed('echo "$GREETING" >file; exit 3')).toEqual(["", "", 3, "/workspace/a b"]);
    expect(await typed("cat file; cat nothing")).toEqual([
      ...["hello\n", "cat: nothing: No such file or directory\n", 1, "/workspace/a b"],
    ]);
    const late = (timeout: number) => typed("echo begun; sleep 300", { timeout });
    let [seconds, cut] = [1, await late(1)];
    // On a busy machine, the command may begin later.
    if (cut[0] === "") [seconds, cut] = [60, await late(60)];
    expect(cut).toEqual(["begun\n", `Command timed out after ${seconds}s`, 124, "/workspace/a b"]);
    expect(await typed("rm -r ../'a b'")).toEqual(["", "", 0, "/workspace/a b"]);
    expect((await typed("echo lost")).slice(2)).toEqual([2, "/workspace"]);
    expect(await typed("echo found")).toEqual(["found\n", "", 0, "/workspace"]);
  });

  it("serves a user's maximum of connections, idle and busy, without an error", async () => {
    // The other two tests have one connection each, which may still be open.
    const idle = await Promise.all(Array.from({ length: 12 }, () => shells.connect()));
    const working = await Promise.all(Array.from({ length: MOST_CONNECTIONS - 14 }, () => shells.connect()));

    const results = await Promise.all(
      working.map(async ({ send, next }, n) => {
        send({ type: "command", command: `cd /tmp; echo ${n}; echo error ${n} >&2` });
        return next();
      }),
    );
    const idleResults = await Promise.all(
      idle.map(({ send, next }) => {
        send({ type: "ping" });
        return next();
      }),
    );

    const wanted = working.map((_, n) => [`${n}\n`, `error ${n}\n`, 0, "/tmp"]);
    expect(
      results.map((result) => [result.stdout, result.stderr, result.returncode, result.current_directory]),
    ).toEqual(wanted);
    expect(idleResults.filter(({ type }) => type === "pong")).toHaveLength(12);
    expect([...idle, ...working].filter(({ ws }) => ws.readyState === ws.OPEN)).toHaveLength(MOST_CONNECTIONS - 2);
    for (const { ws } of [...idle, ...working]) ws.close();
  });

  it("is closed soon after its workspace was deleted", async () => {
    const { closed, send } = await shells.connect();
    send({ type: "command", command: "sleep 3671" });

    await requestDelete(shells.ctx, shells.id);

    expect(await closed).toBe(1001);
  });
});
