import { describe, expect, test } from "vitest";
import { plainSession as plain } from "#tests/fixtures/catalog-requests.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";
import { type OnmemosWorld, onmemosWorld } from "#tests/worlds/onmemos-world.ts";

const id = "ws-my-project-developer-1768932000";
const session = `/v1/sessions/${id}/execute`;
const workspace = `/v1/cloudrun/workspaces/${id}`;

async function runningWorld(options: Parameters<typeof onmemosWorld>[0] = {}): Promise<OnmemosWorld> {
  const fixture = await onmemosWorld(options);
  await fixture.create();
  return fixture;
}

describe("a command", () => {
  test("is answered with its result, by both families", async () => {
    const { world, ask } = await runningWorld();
    world.compute.programExec(() => true, { stdout: "out\n", stderr: "err", exitCode: 3 });

    const result = { stdout: "out\n", stderr: "err", returncode: 3, success: false };
    const shown = { ...result, workspace_id: id };

    expect(await ask("POST", session, { command: "x" })).toEqual({ status: 200, body: result });
    expect(await ask("POST", `${workspace}/execute?command=a+b%2Bc%zz`)).toEqual({
      status: 200,
      body: { ...shown, command: "a b+c%zz" },
    });
    expect(await ask("POST", `${workspace}/runsh?command=ls%20-la`)).toEqual({
      status: 200,
      body: { ...shown, command: "ls -la" },
    });
    expect(await ask("POST", `${workspace}/runpython?code=print(%22Hello%20World%22)`)).toEqual({
      status: 200,
      body: { ...shown, command: 'print("Hello World")' },
    });
  });

  test("is one argument or the input of a new process in /workspace, whatever it contains", async () => {
    const { world, ask } = await runningWorld();
    const text = "-x 'a' \"b\" $(id) `c` \\ EOF\n\u{1f600}";
    const code = `${text}\0`;

    await ask("POST", session, { command: text });
    await ask("POST", `${workspace}/runpython`, { code });

    expect(world.compute.execs().map(({ words, stdin, directory }) => ({ words, stdin, directory }))).toEqual([
      { words: ["/bin/sh", "-c", "--", text], stdin: "", directory: "/workspace" },
      { words: ["python", "-"], stdin: code, directory: "/workspace" },
    ]);
  });

  test("is read from the query, a form or JSON, and the query wins", async () => {
    const { ask } = await runningWorld();
    const answers = async (query: string, body?: unknown) =>
      (await ask("POST", `${workspace}/execute${query}`, body)).body.command;

    expect(await answers("", { command: "json", timeout: 5 })).toBe("json");
    expect(await answers("", "command=a+form%21&timeout=5")).toBe("a form!");
    expect(await answers("?command=query", { command: "json" })).toBe("query");
    expect(await answers("?timeout=5&x=%", { command: "json", more: 1 })).toBe("json");
    expect(await answers("?command=first&command=last")).toBe("last");
  });

  test.each([
    [session, {}, "command is required"],
    [session, { command: "" }, "command is required"],
    [session, { command: 1 }, "command must be a string"],
    [session, { command: "é".repeat(32_769) }, "command is over 65536 bytes"],
    [session, { command: "a\0b" }, "command must not hold NUL characters or unpaired surrogates"],
    [`${workspace}/execute`, { command: "a\0b" }, "The command must not hold a NUL character"],
    [session, { command: "x", timeout: 0 }, "timeout must be between 1 and 3600"],
    [session, { command: "x", timeout: 3601 }, "timeout must be between 1 and 3600"],
    [session, { command: "x", timeout: "5" }, "timeout must be an integer"],
    [session, { command: "x", timeout: 1.5 }, "timeout must be an integer"],
    [session, "command=x", "Invalid JSON body"],
    [`${workspace}/execute`, undefined, "command is required"],
    [`${workspace}/execute?command=`, { command: "x" }, "command is required"],
    [`${workspace}/execute?command=x&timeout=`, undefined, "timeout must be an integer"],
    [`${workspace}/execute?command=x&timeout=abc`, undefined, "timeout must be an integer"],
    [`${workspace}/execute?command=x&timeout=0`, undefined, "timeout must be between 1 and 3600"],
    [`${workspace}/execute`, "[]", "Invalid JSON body"],
    [`${workspace}/runsh?code=x`, undefined, "command is required"],
    [`${workspace}/runpython?command=x`, undefined, "code is required"],
    [`${workspace}/runpython`, { code: [1] }, "code must be a string"],
  ])("%s refuses %j", async (path, body, detail) => {
    const { ask } = await runningWorld();

    expect(await ask("POST", path, body)).toEqual({ status: 400, body: { detail } });
  });

  test("keeps its output after a timeout, which its last line reports", async () => {
    const { world, ask } = await runningWorld();
    world.compute.programExec(() => true, { stdout: "begun\n", stderr: "half", takesMs: null });

    const { status, body } = await ask("POST", session, { command: "sleep 60", timeout: 2 });

    expect([status, body]).toEqual([
      ...[200, { stdout: "begun\n", stderr: "half\nCommand timed out after 2s", returncode: 124, success: false }],
    ]);
  });

  test("runs at most for the exec cap, and the message names its actual limit", async () => {
    const { world, ask } = await runningWorld();
    world.compute.programExec(() => true, { takesMs: null });

    const { body } = await ask("POST", `${workspace}/execute?command=sleep&timeout=3600`);

    expect([body.returncode, body.stderr]).toEqual([124, "Command timed out after 110s"]);
  });

  test("may write a MiB to each stream, and one more line", async () => {
    const { world, ask } = await runningWorld();
    world.compute.programExec(() => true, { stdout: "x".repeat(2_000_000), stderr: "short" });

    const { body } = await ask("POST", session, { command: "yes" });

    expect([body.stdout.length, body.stdout.slice(-20), body.stderr]).toEqual([
      ...[1_048_576 + 19, "x\n[output truncated]".slice(-20), "short"],
    ]);
  });

  test("waits for a session that is being created", async () => {
    const { ask, create } = await onmemosWorld({ delays: { imageMs: 60_000 } });
    expect((await create()).status).toBe("creating");

    const { status, body } = await ask("POST", session, { command: "date" });

    expect([status, body.success]).toEqual([200, true]);
  });

  test("is answered with a time to retry if the session takes too long", async () => {
    const { world, key, create } = await onmemosWorld({ delays: { imageMs: 600_000 } });
    await create();

    const response = await world.request("POST", session, { key, body: { command: "date" } });

    expect([response.status, await response.json(), response.headers.get("retry-after")]).toEqual([
      ...[500, { detail: "Session is not ready yet" }, "5"],
    ]);
  });

  test("is answered with the reason if its session did not start", async () => {
    const { world, ask, create, head } = await onmemosWorld({ nodes: [] });
    await create();
    world.compute.program(head(id).uid, { kind: "imageFails", reason: "Image not found" });
    for (const node of newNodes({ "cpu-shared": 1 })) world.compute.setNode(node);

    const answers = [
      await ask("POST", session, { command: "x" }),
      await ask("POST", session, { command: "x" }),
      await ask("POST", `${workspace}/runsh?command=x`),
    ];

    const failed = { status: 500, body: { detail: "Session failed to start: Image not found" } };
    expect(answers).toEqual([failed, failed, failed]);
    expect((await ask("GET", `/v1/sessions/${id}`)).body.status).toBe("failed");
  });
});

test("no answer shows the variables of a session", async () => {
  const { ask } = await onmemosWorld();

  const { body } = await ask("POST", "/v1/sessions", { ...plain, env: { TOKEN: "hunter2" } });
  const shown = await ask("GET", `/v1/sessions/${body.id}`);

  expect(JSON.stringify([body, shown])).not.toContain("hunter2");
});
