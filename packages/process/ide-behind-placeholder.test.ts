import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, type Fixture, findPids, lacks, listProcesses, openFixture } from "./fixture.ts";
import { writeIdeStub } from "./pages/ide-stub.ts";
import { systemPath } from "./sandbox/local-path.ts";

describe.each([
  ["bubblewrap", "own"],
  ["bubblewrap", "shared"],
  ["none", "shared"],
] as const)("code-server behind a placeholder, isolation %s, %s network", (isolation, network) => {
  const lacking = isolation === "bubblewrap" && lacks(network);
  if (lacking) {
    it("needs bubblewrap, and slirp4netns for a network", ({ skip }) => skip(lacking));
    return;
  }

  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture({ isolation, network });
  });
  afterEach(() => fixture.close());

  const node = () => (isolation === "none" ? process.execPath : join(fixture.home, "tools/node"));
  const bin = () => join(fixture.shown, "bin");
  const begin = async (source?: string): Promise<string> => {
    if (source !== "none") writeIdeStub(bin(), node(), source);
    const env = { PATH: `${bin()}:${systemPath}` };
    const image = "codercom/code-server:latest";
    await fixture.compute.apply(
      fixture.runOf({ command: undefined, image, env, ports: [{ port: 8080, kind: "http" }] }),
    );
    const seen = await eventually(fixture.observe, (now) => now?.state === "ready");
    return `http://${seen?.ports[0]?.address}`;
  };
  const textAt = async (url: string) => (await fetch(url)).text();
  const untilSays = (url: string, words: string) =>
    eventually(
      () => textAt(url).catch(() => ""),
      (text) => text.includes(words),
    );
  const chat = async (url: string) => {
    const response = await fetch(`${url}/chat`, { method: "POST", body: '{"message":"hello"}' });
    return response.json();
  };
  const idePort = () => {
    const lines = listProcesses(fixture.home, fixture.uid).map((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1"));
    return lines.map((line) => /--bind-addr=127\.0\.0\.1:(\d+)/.exec(line)?.[1]).find(Boolean);
  };

  it("opens without a password, and the placeholder still answers chats", async () => {
    const url = await begin();
    await untilSays(url, " from /");

    const seen = await fixture.observe();

    expect(await chat(url)).toEqual({ reply: "hello" });
    expect(seen?.ports[0]).not.toHaveProperty("hasLogin");
    expect(seen?.notes).toContain("code-server of this machine serves port 8080, and a placeholder answers its chats");
  });

  it("gets unchanged requests with its own login", async () => {
    const url = await begin();
    await untilSays(url, " from /");
    const headers = { cookie: "code-server-session=other; mine=1" };

    const response = await fetch(`${url}/echo?a=b%20c`, { method: "PUT", body: "x".repeat(100_000), headers });

    expect([response.status, response.headers.getSetCookie()]).toEqual([201, ["a=1", "b=2"]]);
    expect(await response.json()).toEqual({
      method: "PUT",
      url: "/echo?a=b%20c",
      host: new URL(url).host,
      body: "x".repeat(100_000),
      cookies: ["code-server-session=other", "mine=1"],
    });
  });

  it("gets WebSockets unchanged in both directions", async () => {
    const url = await begin();
    await untilSays(url, " from /");
    const headers = { connection: "Upgrade", upgrade: "websocket" };
    const input = request(url, { headers, agent: false }).end();
    const [answer, socket] = (await once(input, "upgrade")) as [{ readonly statusCode: number }, Socket, Buffer];

    socket.write("ping");
    const [bytes] = await once(socket, "data");
    socket.destroy();

    expect([answer.statusCode, String(bytes)]).toEqual([101, "ping"]);
  });

  it("asks for a password at its own port, which other runs can reach", async () => {
    const url = await begin();
    await untilSays(url, " from /");

    const direct = `http://127.0.0.1:${idePort()}/`;

    expect(direct).not.toBe(`${url}/`);
    expect(await textAt(direct)).toBe("Enter the password");
    expect(await textAt(`${direct}?password=`)).toBe("Enter the password");
  });

  it("restarts with a new login when its process dies, while chats are still answered", async () => {
    const url = await begin();
    await untilSays(url, " from /");
    const pids = () => findPids(fixture, `${node()} ${join(bin(), "code-server.cjs")}`);
    const before = pids();

    for (const pid of before) process.kill(pid, "SIGKILL");
    const said = await chat(url);
    await eventually(pids, (now) => now.length === 1 && now[0] !== before[0]);

    expect(said).toEqual({ reply: "hello" });
    await untilSays(url, " from /");
  });

  it("is replaced by a page with the reason if it ends at once", async () => {
    const url = await begin("process.exit(9)");

    await untilSays(url, "code-server ended at once (exit code 9)");

    expect(await chat(url)).toEqual({ reply: "hello" });
    await eventually(
      async () => (await fixture.observe())?.notes.join() ?? "",
      (notes) => notes.includes("a placeholder answers on port 8080: it has no command"),
    );
  });

  it("shows that it is starting until the placeholder has logged in", async () => {
    const url = await begin("setInterval(() => {}, 1_000)");

    const response = await fetch(url);

    expect([response.status, await response.text()]).toEqual([503, expect.stringContaining("VS Code is starting")]);
    expect(await chat(url)).toEqual({ reply: "hello" });
  });

  it("is advised on the page if the machine lacks it", async () => {
    const url = await begin("none");

    expect(await textAt(url)).toContain("install code-server, put its directory on LOCAL_PATH");
    expect(await chat(url)).toEqual({ reply: "hello" });
  });
});
