import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type Tunnel, tunnel } from "#gateway/tunnels/tunnel.ts";
import { tunnelServer } from "#gateway/tunnels/tunnel-server.ts";
import { GROWN_WINDOW_BYTES, ReceiveWindow, WINDOW_BYTES } from "#relay/receive-window.ts";
import { toolsPath } from "../../scripts/images/tools-programs.ts";

const program = join(await toolsPath(process.env), "tunnel");
const { server, invite } = tunnelServer();

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "berth-tunnel-"));
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Starts the program as the exec of a pod does, on this machine. */
async function openTunnel(): Promise<Tunnel> {
  const { line, accept } = invite();
  const { port } = server.address() as AddressInfo;
  const child = spawn(program, [`127.0.0.1:${port}`], { stdio: ["pipe", "pipe", "inherit"], cwd: folder });
  const ended = once(child, "exit");
  child.stdin.end(line);
  const [fingerprint] = (await once(child.stdout, "data")) as [Buffer];
  const opened = tunnel(await accept(String(fingerprint).trim()));
  await opened.ready;
  expect(await ended).toEqual([0, null]);
  return opened;
}

const shell = (command: string) => ({ words: ["/bin/sh", "-c", command], env: {} });

it.each([
  ["in a terminal", { columns: 80, rows: 24 }],
  ["without a terminal", undefined],
])("a client that reads late gets all output of a program %s", async (_, terminal) => {
  const opened = await openTunnel();
  // More than the window, so that the program ends before the client has read.
  const command = "head -c 136000 /dev/zero | tr '\\0' x; printf END; : > done";
  const session = await opened.open({ ...shell(command), terminal });
  await expect.poll(async () => (await execute("ls", [folder])).stdout).toContain("done");
  // Longer than what the program waits for its last output.
  await sleep(400);

  const parts: Buffer[] = [];
  for await (const part of session.output as AsyncIterable<Buffer>) parts.push(part);
  const output = Buffer.concat(parts).toString();

  expect([output.length, output.slice(-3), await session.ended]).toEqual([136_003, "END", 0]);
  opened.close();
});

it("the program accepts a larger window, and sends all bytes", async () => {
  const acknowledge = vi.spyOn(ReceiveWindow.prototype, "acknowledge");
  const opened = await openTunnel();
  const session = await opened.open(shell("head -c 20000000 /dev/zero"));

  let bytes = 0;
  for await (const part of session.output as AsyncIterable<Buffer>) bytes += part.length;

  const allowed = acknowledge.mock.results.map(({ value }) => value as number);
  acknowledge.mockRestore();

  expect([bytes, await session.ended, opened.isEnded()]).toEqual([20_000_000, 0, false]);
  expect(Math.max(...allowed)).toBeGreaterThan(GROWN_WINDOW_BYTES - WINDOW_BYTES);
  opened.close();
});

it("programs that start while the gateway goes away are hung up", async () => {
  const name = `3${process.pid}`;
  for (let delayMs = 0; delayMs < 10; delayMs += 1) {
    const opened = await openTunnel();
    for (let n = 0; n < 20; n += 1) opened.open({ words: ["sleep", name], env: {} }).catch(() => undefined);
    await sleep(delayMs);
    opened.close();
  }

  await expect.poll(async () => (await execute("pgrep", ["-f", `^sleep ${name}$`])).stdout).toBe("");
});

it("a burst of sizes and signals ends no other session of the run", async () => {
  const opened = await openTunnel();
  const bystander = await opened.open(shell("read line; echo $line"));
  const busy = await opened.open({ ...shell("sleep 3643"), terminal: { columns: 80, rows: 24 } });

  for (let n = 0; n < 5_000; n += 1) {
    busy.resize(n % 200, 24);
    void busy.signal("SIGWINCH");
  }
  bystander.input.end("still here\n");
  const [line] = (await once(bystander.output, "data")) as [Buffer];

  expect([String(line), await bystander.ended]).toEqual(["still here\n", 0]);
  await busy.close();
  opened.close();
});

/** Does not fail with the program. */
function execute(file: string, words: readonly string[]): Promise<{ stdout: string }> {
  return promisify(execFile)(file, words).catch(({ stdout }: { stdout: string }) => ({ stdout }));
}
