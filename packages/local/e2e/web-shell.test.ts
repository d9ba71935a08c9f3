import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { openShellStack, type ShellStack } from "./shell-trial.ts";

describe("the web shell of the local stack", () => {
  let shells: ShellStack;
  beforeAll(async () => {
    shells = await openShellStack();
  }, 120_000);
  afterAll(() => shells.close());

  it("runs what a user types, and stays where it went", async () => {
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
    expect(await typed("echo begun; sleep 30", { timeout: 1 })).toEqual([
      ...["begun\n", "Command timed out after 1s", 124, "/workspace/a b"],
    ]);
    expect(await typed("rm -r ../'a b'")).toEqual(["", "", 0, "/workspace/a b"]);
    expect((await typed("echo lost")).slice(2)).toEqual([2, "/workspace"]);
    expect(await typed("echo found")).toEqual(["found\n", "", 0, "/workspace"]);
  });

  it("serves 500 idle connections and 200 that work at the same time, without one error", async () => {
    const idle = await Promise.all(Array.from({ length: 500 }, () => shells.connect()));
    const working = await Promise.all(Array.from({ length: 200 }, () => shells.connect()));

    const results = await Promise.all(
      working.map(async ({ send, next }, n) => {
        send({ type: "command", command: `cd /tmp; echo ${n}; echo error ${n} >&2` });
        return next();
      }),
    );
    const idleResults = await Promise.all(
      idle.slice(0, 20).map(({ send, next }) => {
        send({ type: "ping" });
        return next();
      }),
    );

    const wanted = working.map((_, n) => [`${n}\n`, `error ${n}\n`, 0, "/tmp"]);
    expect(results.map((one) => [one.stdout, one.stderr, one.returncode, one.current_directory])).toEqual(wanted);
    expect(idleResults.filter(({ type }) => type === "pong")).toHaveLength(20);
    expect([...idle, ...working].filter(({ ws }) => ws.readyState === ws.OPEN)).toHaveLength(700);
    for (const { ws } of [...idle, ...working]) ws.close();
  }, 120_000);

  it("is closed soon after its workspace was deleted", async () => {
    const { closed, send } = await shells.connect();
    send({ type: "command", command: "sleep 3671" });

    await requestDelete(shells.ctx, shells.id);

    expect(await closed).toBe(1001);
  }, 120_000);
});
