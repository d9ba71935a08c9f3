import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createConnection } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Run, RunPort } from "#core/ports/compute.ts";
import { processCompute } from "./compute.ts";
import { eventually, type Fixture, findPids, lacks, listProcesses, openFixture } from "./fixture.ts";
import { lacksTcpEnds, tcpEnds } from "./network/tcp-end-fixture.ts";
import { jupyterStub } from "./pages/jupyter-stub.ts";
import { postToLocal } from "./pages/port-post.ts";
import { PATIENCE_MS } from "./patience-fixture.ts";

const http: RunPort = { port: 8080, kind: "http" };

describe.each([
  ["bubblewrap", "own"],
  ["bubblewrap", "shared"],
  ["none", "shared"],
] as const)("the ports of a run, isolation %s, %s network", (isolation, network) => {
  const lacking = isolation === "bubblewrap" && lacks(network);
  if (lacking) {
    it("needs bubblewrap, and slirp4netns for a network", ({ skip }) => skip(lacking));
    return;
  }

  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture({ isolation, network });
  });
  afterEach(async () => {
    await fixture.close();
  });

  const apply = (changes: Partial<Run>) => fixture.compute.apply(fixture.runOf({ command: undefined, ...changes }));
  const ready = () => eventually(fixture.observe, (seen) => seen?.state === "ready");
  const getAddress = async (port = 8080) =>
    (await ready())?.ports.find((portStatus) => portStatus.port === port)?.address ?? "";
  const node = () => (isolation === "none" ? process.execPath : join(fixture.home, "tools/node"));
  const serving = (text: string) => {
    writeFileSync(join(fixture.shown, "server.cjs"), text);
    return `exec ${node()} ${join(fixture.shown, "server.cjs")}`;
  };

  it("are passed to the command, which serves them at the shown addresses", async () => {
    const command = serving(`
      const { createServer } = require("node:http");
      const { PORT, PORT_8080, PORT_9000, PORT_22 } = process.env;
      const say = JSON.stringify({ isFirst: PORT === PORT_8080, hasSsh: PORT_22 !== undefined });
      createServer((_, response) => response.end(say)).listen(Number(PORT), "127.0.0.1");
      createServer().listen(Number(PORT_9000), "127.0.0.1");`);
    await apply({ command, env: { PORT: "1" }, ports: [{ port: 9000, kind: "tcp" }, http] });

    const address = await getAddress();

    expect(await (await fetch(`http://${address}/`)).json()).toEqual({ isFirst: true, hasSsh: false });
    expect((await fixture.observe())?.notes.join()).not.toContain("placeholder");
  });

  if (network === "own") {
    it("forward small packets without delay, on both connections", async ({ skip }) => {
      const lacking = await lacksTcpEnds();
      if (lacking) return skip(lacking);
      await apply({
        command: serving(`require("net").createServer(() => {}).listen(process.env.PORT)`),
        ports: [http],
      });
      const port = Number((await getAddress()).split(":")[1]);
      const visitor = createConnection({ host: "127.0.0.1", port });

      const passing = await eventually(
        async () => (await tcpEnds(port)).filter(({ pid }) => pid === fixture.supervisorPid()),
        ({ length }) => length === 2,
      );
      visitor.destroy();

      expect(passing.map(({ noDelay }) => noDelay)).toEqual([true, true]);
    });
  }

  it("keep a run ready after one answer, and show which port is silent", async () => {
    const command = serving(`
      const server = require("node:http").createServer((_, response) => response.end());
      server.listen(Number(process.env.PORT), "127.0.0.1");
      process.on("SIGUSR1", () => { server.close(); server.closeAllConnections(); setInterval(() => {}, 1000); });`);
    await apply({ command, ports: [http] });
    await ready();

    for (const pid of findPids(fixture, node())) process.kill(pid, "SIGUSR1");

    const silent = await eventually(fixture.observe, (seen) => seen?.ports[0]?.answers === false);
    expect(silent).toMatchObject({ state: "ready" });
    expect(await processCompute(fixture.options).observe(fixture.uid, 1)).toMatchObject({ state: "ready" });
  });

  it("are served by a placeholder without a command, which says so and is not a process of the run", async () => {
    await apply({ image: `<script>"x"</script>`, ports: [http] });
    const address = await getAddress();

    const page = await (await fetch(`http://${address}/`)).text();

    expect(page).toContain("port 8080");
    expect(page).toContain("&#60;script&#62;&#34;x&#34;");
    expect(page).not.toContain("<script>");
    expect((await fixture.observe())?.notes).toContain("a placeholder answers on port 8080: it has no command");
    const others = listProcesses(fixture.home, fixture.uid).filter((pid) => pid !== fixture.supervisorPid());
    expect(others.map(getProgram).filter((program) => program.includes("node"))).toEqual([]);
  });

  // Only root can become another user.
  if (process.getuid?.() === 0) {
    it("refuse other users of this machine, with a placeholder as well as with the run", async () => {
      const served = serving(`
        const server = require("node:http").createServer((_, response) => response.end());
        server.listen(Number(process.env.PORT), "127.0.0.1");`);
      await apply({ ports: [http], ...(network === "own" && { command: served }) });
      const port = Number((await getAddress()).split(":")[1]);

      const words = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
      const answers = [65_534, 0].map(async (uid) => {
        const asking = spawn("/bin/bash", ["-c", words], {
          uid,
          gid: uid,
          cwd: "/",
          stdio: ["ignore", "pipe", "ignore"],
        });
        return (await text(asking.stdout)).slice(0, 12);
      });

      expect(await Promise.all(answers)).toEqual(["", "HTTP/1.1 200"]);
    });
  }

  it("have a placeholder only while the run lives", async () => {
    await apply({ ports: [http] });
    const address = await getAddress();

    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: true });
    await eventually(fixture.observe, (seen) => seen === undefined);

    await expect(fetch(`http://${address}/`)).rejects.toThrow("fetch failed");
  });

  it("keep a placeholder that survives misbehaving clients", async () => {
    await apply({ ports: [http] });
    const address = await getAddress();
    const clients = ["\0\r\n\r\n", "GET", "POST /chat HTTP/1.1\r\ncontent-length: 9\r\n\r\n{"].map((text) => {
      return createConnection(Number(address.split(":")[1]), "127.0.0.1")
        .on("error", () => undefined)
        .end(text);
    });
    await Promise.all(clients.map((client) => once(client.resume(), "close")));

    expect((await fetch(`http://${address}/`)).status).toBe(200);
    expect(await fixture.observe()).toMatchObject({ state: "ready" });
  });

  it("answer a chat from the placeholder, and refuse other requests", async () => {
    await apply({ ports: [http] });
    const address = await getAddress();
    const say = async (body: string, method = "POST") => {
      const response = await fetch(`http://${address}/chat`, { method, ...(method === "POST" ? { body } : {}) });
      return [response.status, await response.json()];
    };

    expect(await say('{"message":"hello"}')).toEqual([200, { reply: "hello" }]);
    expect(await say('{"message":1}')).toEqual([400, { error: "message must be a string" }]);
    expect(await say("{")).toEqual([400, { error: "message must be a string" }]);
    expect(await say("null")).toEqual([400, { error: "message must be a string" }]);
    expect(await say("x".repeat(1024 * 1024 + 1))).toEqual([413, { error: "A message has at most 1 MiB" }]);
    expect(await say("", "GET")).toEqual([405, { error: "Method not allowed" }]);
  });

  it("are ready when their access is: SSH if the stack has it, Jupyter once it is on", async () => {
    const compute = processCompute({ ...fixture.options, sshPort: 2222 });
    const ports: RunPort[] = [
      { port: 22, kind: "ssh" },
      { port: 8888, kind: "jupyter" },
    ];
    const env = jupyterStub(fixture);
    await compute.apply(fixture.runOf({ command: undefined, env, ports }));
    const observe = () => compute.observe(fixture.uid, 1);
    const before = await eventually(observe, (seen) => seen?.state === "probe");

    await compute.setAccess(fixture.uid, 1, {
      revision: 1,
      login: "l-12345678",
      keys: [],
      jupyter: { token: "t".repeat(40) },
    });
    const after = await eventually(observe, (seen) => seen?.state === "ready");

    expect(before?.ports).toEqual([
      { port: 22, kind: "ssh", address: "127.0.0.1:2222", answers: true },
      { port: 8888, kind: "jupyter", address: null, answers: false },
    ]);
    expect(after?.ports[1]).toMatchObject({ answers: true, address: after?.jupyter?.origin?.slice("http://".length) });
    expect((await fixture.observe())?.ports[0]).toMatchObject({ address: null, answers: false });
  });

  it("have a placeholder for a missing Jupyter, beside a command", async () => {
    const env = { PATH: "/nowhere:relative" };
    await apply({ command: "/bin/sleep 3600", env, ports: [{ port: 8888, kind: "jupyter" }] });

    const address = await getAddress(8888);

    expect(await (await fetch(`http://${address}/lab`)).text()).toContain("port 8888");
    expect((await fixture.observe())?.notes).toContain(
      "a placeholder answers on port 8888: this machine has no Jupyter",
    );
  });

  it("are probed only in the first machine, and end with the run", async () => {
    const shares = ["one", "two"].map((name) => ({ node: name, units: 8 }));
    await apply({ shares, ports: [http] });
    const address = await getAddress();

    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: true });
    await eventually(fixture.observe, (seen) => seen === undefined);

    await expect(fetch(`http://${address}/`)).rejects.toThrow("fetch failed");
  });
});

describe("a post to a port of this machine", () => {
  const request = { path: "/chat", body: "{}", timeoutMs: PATIENCE_MS, port: 0 };
  const serve = async (answer: Parameters<typeof createServer>[1]) => {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const close = () => {
      server.close();
      server.closeAllConnections();
    };
    return { port, [Symbol.dispose]: close };
  };

  it("returns the answer, even an error, and follows no redirect", async () => {
    using server = await serve((_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end("no"));

    expect(await postToLocal(server.port, request)).toEqual({ status: 302, body: "no" });
  });

  it("returns the first MiB of an endless answer", async () => {
    using server = await serve((_, response) => {
      const more = () => {
        while (response.write("x".repeat(65_536)));
      };
      response.on("drain", more);
      more();
    });

    const answer = await postToLocal(server.port, request);

    expect(answer.body).toBe("x".repeat(1024 * 1024));
  });

  it("times out without an answer and with a slow one", async () => {
    using silent = await serve(() => undefined);
    using slow = await serve((_, response) => {
      const drip = setInterval(() => response.write("x"), 20);
      response.once("close", () => clearInterval(drip));
    });

    for (const { port } of [silent, slow]) {
      await expect(postToLocal(port, { ...request, timeoutMs: 200 })).rejects.toThrow(/abort/i);
    }
  });

  it("fails if it is too large, its path is invalid, or no program listens", async () => {
    using server = await serve((_, response) => response.end());

    const large = postToLocal(server.port, { ...request, body: "x".repeat(1024 * 1024 + 1) });
    await expect(large).rejects.toThrow("larger than 1 MiB");
    for (const path of ["", "chat", "http://elsewhere/", "/a b", "/a\r\nx: y"]) {
      await expect(postToLocal(server.port, { ...request, path }), path).rejects.toThrow("The path is invalid");
    }
    await expect(postToLocal(1, request)).rejects.toThrow("ECONNREFUSED");
  });
});

function getProgram(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] ?? "";
}
