import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { eventually, type Fixture, openFixture } from "../fixture.ts";
import { systemPath } from "../sandbox/local-path.ts";
import { canSandbox } from "../sandbox/sandbox-probe.ts";
import { hasJupyter } from "./jupyter-session-fixture.ts";
import { jupyterStub } from "./jupyter-stub.ts";

const token = "token-0123456789-abcdefghij-0123456789-xyz";

describe.each(["bubblewrap", "none"] as const)("the work in a run, isolation %s", (isolation) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture({ isolation });
  });
  afterEach(() => fixture.close());

  const work = () => fixture.compute.countWork(fixture.uid, 1);
  const until = (count: number | null) => eventually(work, (seen) => seen === count);
  const turnOn = async () => {
    const access = { revision: 1, login: "gpu-dev-12345678", keys: [], jupyter: { token } };
    await fixture.compute.setAccess(fixture.uid, 1, access);
    const seen = await eventually(fixture.observe, (run) => run?.jupyter?.state === "on");
    return String(seen?.jupyter?.origin);
  };
  const ask = async (origin: string, method: string, path: string) => {
    const response = await fetch(`${origin}${path}`, { method, headers: { authorization: `token ${token}` } });
    return (response.status === 204 ? undefined : await response.json()) as { id: string; name: string };
  };
  /** Sends a message to a kernel or a terminal, and disconnects like a closed browser. */
  const say = async (origin: string, path: string, message: unknown, isDone: () => Promise<unknown>) => {
    const socket = new WebSocket(`${origin.replace("http", "ws")}${path}?token=${token}`);
    await new Promise((resolve) => socket.once("open", resolve));
    socket.send(JSON.stringify(message));
    await isDone();
    socket.close();
    await new Promise((resolve) => socket.once("close", resolve));
  };

  it("includes a kernel of the real Jupyter while a cell runs, even after the browser is closed", async ({ skip }) => {
    if (!hasJupyter) skip("this machine has no jupyter on its system path that this user may run");
    await fixture.compute.apply(fixture.runOf());
    const origin = await turnOn();
    expect(await work()).toBe(0);
    const { id } = await ask(origin, "POST", "/api/kernels");
    const content = { code: "while True: pass", silent: false, store_history: false, user_expressions: {} };
    const header = { msg_id: "1", username: "", session: "s", msg_type: "execute_request", version: "5.3" };
    const request = { header, parent_header: {}, metadata: {}, channel: "shell", buffers: [] };
    const isBusy = async () =>
      eventually(
        () => ask(origin, "GET", `/api/kernels/${id}`),
        (kernel) => "execution_state" in kernel && kernel.execution_state === "busy",
      );

    await say(
      origin,
      `/api/kernels/${id}/channels`,
      { ...request, content: { ...content, allow_stdin: false } },
      isBusy,
    );
    const busy = await work();
    await ask(origin, "POST", `/api/kernels/${id}/interrupt`);

    expect(busy).toBe(1);
    await until(0);
  });

  it("includes a terminal of the real Jupyter while a program runs in it", async ({ skip }) => {
    if (!hasJupyter) skip("this machine has no jupyter on its system path that this user may run");
    await fixture.compute.apply(fixture.runOf());
    const origin = await turnOn();
    const { name } = await ask(origin, "POST", "/api/terminals");

    await say(origin, `/terminals/websocket/${name}`, ["stdin", "sleep 3600\r"], () => until(1));
    const after = await work();
    await say(origin, `/terminals/websocket/${name}`, ["stdin", "\u0003"], () => until(0));

    expect(after).toBe(1);
  });

  it("includes a program in a detached terminal, but not an idle shell", async ({ skip }) => {
    const screen = spawnSync("/bin/sh", ["-c", "command -v screen"], { env: { PATH: systemPath } }).status === 0;
    if (!screen) skip("this machine has no screen");
    await fixture.compute.apply(fixture.runOf());
    const inScreen = (id: string, text: string) =>
      fixture.compute.startExec(fixture.uid, 1, {
        id,
        words: ["/bin/sh", "-c", `export SCREENDIR="$HOME/.screen"; mkdir -m 700 -p "$SCREENDIR"; ${text}`],
        stdin: "",
        env: {},
        directory: undefined,
        timeoutMs: 60_000,
      });
    const over = (id: string) =>
      eventually(
        () => fixture.compute.readExec(fixture.uid, 1, id, 0),
        (status) => status?.state === "ended",
      );
    await inScreen("begin", "screen -dmS left /bin/sh -i");
    expect((await over("begin"))?.exitCode).toBe(0);

    const waiting = await work();
    await inScreen("type", "screen -S left -X stuff 'sleep 3600\\r'");
    await until(1);
    await inScreen("interrupt", "screen -S left -X stuff '^C'");
    await until(0);

    expect(waiting).toBe(0);
  });

  it("is unknown if Jupyter does not report its kernels", async () => {
    await fixture.compute.apply(fixture.runOf({ env: jupyterStub(fixture) }));

    await turnOn();

    expect(await work()).toBeNull();
  });

  it("is zero once Jupyter is off or the run is over", async () => {
    await fixture.compute.apply(fixture.runOf({ env: jupyterStub(fixture) }));
    await turnOn();

    await fixture.compute.setAccess(fixture.uid, 1, {
      revision: 2,
      login: "gpu-dev-12345678",
      keys: [],
      jupyter: null,
    });
    await until(0);
    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: false });
    await eventually(fixture.observe, (seen) => seen === undefined);

    expect(await work()).toBe(0);
  });
});
