import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listDescendants } from "./container/descendants.ts";
import { isAlive, openSupervisor, type SupervisorFixture, staying, until } from "./container/supervisor-fixture.ts";

let fixture: SupervisorFixture;

beforeEach(async () => {
  fixture = await openSupervisor();
});

afterEach(() => fixture.close());

const sh = (script: string) => ["/bin/sh", "-c", script];
const listLines = (name: string) =>
  existsSync(fixture.file(name)) ? readFileSync(fixture.file(name), "utf8").trim().split("\n").filter(Boolean) : [];
const freePort = async () => {
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, "127.0.0.1", resolve));
  const { port } = free.address() as { port: number };
  await new Promise((resolve) => free.close(resolve));
  return port;
};
const status = async () => JSON.parse((await fixture.ask("status")).stdout);
const setAccess = (access: object) => fixture.ask("access", [], JSON.stringify(access));
/** Returns a server that adds a line with its token to a file at each start. */
const server = (name: string, then = staying) => sh(`echo "$$ $TOKEN" >>${fixture.file(name)}; ${then}`);

describe("the work in a run", () => {
  const work = async () => (await fixture.ask("work")).stdout;
  /** Returns a Jupyter that gives this answer about its kernels to clients with its token. */
  const jupyter = (answer: string) =>
    `require("node:http").createServer(({ headers, url }, response) => {
      const isOurs = headers.authorization === "token " + process.env.JUPYTER_TOKEN && url === "/api/kernels";
      response.writeHead(isOurs ? 200 : 403).end(${JSON.stringify(answer)});
    }).listen(Number(process.env.AT), "127.0.0.1");`;
  const serve = async (revision: number, answer: string) => {
    const port = await freePort();
    const env = { JUPYTER_TOKEN: "secret", AT: String(port) };
    const words = [process.execPath, "-e", jupyter(answer)];
    await setAccess({ revision, services: { jupyter: { words, env, port } } });
    await until(async () => (await status()).services.jupyter?.answers === true);
  };
  const kernels = (...states: string[]) =>
    JSON.stringify(states.map((execution_state) => ({ execution_state, last_activity: new Date().toISOString() })));

  it("is zero without Jupyter, and otherwise the kernels that are not idle", async () => {
    await fixture.run([]);
    expect(await work()).toBe("0\n");

    await serve(1, kernels("idle", "busy", "starting", "dead"));
    expect(await work()).toBe("2\n");
    await serve(2, kernels("idle"));
    expect(await work()).toBe("0\n");
    const old = new Date(Date.now() - 11 * 60_000).toISOString();
    await serve(3, JSON.stringify([{ execution_state: "starting", last_activity: old }]));
    expect(await work()).toBe("0\n");
  });

  it.each(["", "null", "{}", "<html>"])("is unknown if Jupyter answers %j", async (answer) => {
    await fixture.run([]);

    await serve(1, answer);

    expect(await work()).toBe("unknown\n");
  });

  it("includes a terminal with a program in the foreground, but not one at its prompt", async () => {
    const typed = fixture.file("typed");
    const terminal = (text: string) => `import os, pty
pid, at = pty.fork()
if pid == 0: os.execv("/bin/sh", ["/bin/sh", "-i"])
os.write(at, b"${text}")
open("${typed}", "w").close()
while True: os.read(at, 1000)`;
    await fixture.run([]);
    const words = (text: string) => ["python3", "-c", terminal(text)];

    await setAccess({ revision: 1, services: { notebook: { words: words(""), env: {}, port: 1 } } });
    await until(() => existsSync(typed));
    expect(await work()).toBe("0\n");
    await setAccess({ revision: 2, services: { notebook: { words: words("sleep 3600\\n"), env: {}, port: 1 } } });
    await until(async () => (await work()) === "1\n");
  });
});

describe("access to a run", () => {
  it("changes while it runs, completely and by revision", async () => {
    await fixture.run([]);
    const keys = (revision: number, text: string) => setAccess({ revision, files: { authorized_keys: text } });

    await keys(2, "ssh-ed25519 first\n");
    await keys(1, "ssh-ed25519 late\n");
    expect(readFileSync(fixture.file("access/authorized_keys"), "utf8")).toBe("ssh-ed25519 first\n");
    await keys(3, "");

    expect(readFileSync(fixture.file("access/authorized_keys"), "utf8")).toBe("");
    expect(await status()).toMatchObject({ revision: 3 });
  });

  it("is answered once SSH listens, or if SSH cannot be started", async () => {
    await fixture.run([]);
    const port = await freePort();
    // The program is slow, as dropbear is when it creates a host key.
    const program =
      "import socket, sys, time; time.sleep(0.2); socket.create_server(('127.0.0.1', int(sys.argv[1]))).accept()";
    const ssh = (...words: string[]) => ({ ssh: { words, env: {}, port } });

    await setAccess({ revision: 1, services: ssh("python3", "-c", program, String(port)) });
    const listening = await status();
    await setAccess({ revision: 2, services: ssh("/bin/sh", "-c", "exit 5") });
    const failed = await status();

    expect(listening.services.ssh).toEqual({ failures: 0, lastCode: 0, answers: true });
    expect(failed.services.ssh).toMatchObject({ lastCode: 5, answers: false });
  });

  it("starts a program, restarts it whenever it ends, and keeps it while it is wanted", async () => {
    await fixture.run([]);
    const port = await freePort();
    const wanted = (revision: number, token: string) =>
      setAccess({ revision, services: { jupyter: { words: server("starts"), env: { TOKEN: token }, port } } });

    await wanted(1, "a");
    await until(async () => (await status()).services.jupyter !== undefined);
    await wanted(2, "a");
    await until(() => listLines("starts").length === 1);
    process.kill(Number(listLines("starts")[0]?.split(" ")[0]), "SIGKILL");
    await until(() => listLines("starts").length === 2);
    expect((await status()).services.jupyter).toEqual({ failures: 1, lastCode: 137, answers: false });

    await wanted(3, "b");
    await until(() => listLines("starts").length === 3);
    expect(listLines("starts")[2]).toMatch(/ b$/);
    await setAccess({ revision: 4 });
    expect((await status()).services).toEqual({});
    const pid = Number(listLines("starts")[2]?.split(" ")[0]);
    await until(() => !isAlive(pid));
  });

  it("replaces programs in quick changes only after the one before has ended", async () => {
    await fixture.run([]);
    // The program ends slowly, as Jupyter does, and records the end.
    const slow = (token: string) =>
      sh(`trap 'sleep 0.3; echo "end ${token}" >>${fixture.file("life")}; exit' TERM
        echo "begin ${token}" >>${fixture.file("life")}; ${staying}`);
    const wanted = (revision: number, token?: string) =>
      setAccess({ revision, services: token ? { jupyter: { words: slow(token), port: 1 } } : {} });
    await wanted(1, "a");
    await until(() => listLines("life").length === 1);

    await wanted(2);
    const off = listLines("life");
    await wanted(3, "b");
    await until(() => listLines("life").length === 3);
    await wanted(4, "c");
    await until(() => listLines("life").length === 5);

    expect(off).toEqual(["begin a", "end a"]);
    expect(listLines("life")).toEqual(["begin a", "end a", "begin b", "end b", "begin c"]);
    expect((await status()).services.jupyter).toMatchObject({ failures: 0 });
  });

  it("ends at the latest revision in any order of arrival, even if a program does not end by itself", async () => {
    await fixture.run([]);
    const stubborn = { jupyter: { words: server("starts", `trap '' TERM; ${staying}`), env: { TOKEN: "a" }, port: 1 } };
    await setAccess({ revision: 1, services: stubborn });
    await until(() => listLines("starts").length === 1);
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const { port } = listener.address() as { port: number };
    const last = { jupyter: { words: server("starts"), env: { TOKEN: "b" }, port } };

    const answers = Promise.all([setAccess({ revision: 2 }), setAccess({ revision: 3, services: last })]);
    const answeredEarly = async () => (await status()).services.jupyter?.answers === true && !listLines("starts")[1];
    let wasEarly = false;
    await until(async () => {
      wasEarly ||= await answeredEarly();
      return listLines("starts").length === 2;
    });
    await answers;

    await until(async () => (await status()).services.jupyter?.answers === true);
    expect(listLines("starts")[1]).toMatch(/ b$/);
    expect(isAlive(Number(listLines("starts")[0]?.split(" ")[0]))).toBe(false);
    expect(wasEarly).toBe(false);
    expect(await status()).toMatchObject({ revision: 3 });
    await new Promise((resolve) => listener.close(resolve));
  });

  it("reports whether a program answers, and why it does not", async () => {
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const { port } = listener.address() as { port: number };
    await fixture.run([]);

    await setAccess({
      revision: 1,
      services: { here: { words: sh(staying), port }, gone: { words: ["no-such-jupyter"], port: 1 } },
    });
    await until(async () => (await status()).services.gone.failures > 0 && (await status()).services.here.answers);

    expect((await status()).services).toMatchObject({
      here: { failures: 0, answers: true },
      gone: { lastCode: 127, answers: false },
    });
    await new Promise((resolve) => listener.close(resolve));
  });

  it("counts the SSH connections", async () => {
    const visitors: Socket[] = [];
    const listener = createServer((socket) => visitors.push(socket));
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const { port } = listener.address() as { port: number };
    const count = async () => (await fixture.ask("count")).stdout;
    await fixture.run([]);
    await setAccess({ revision: 1, services: { ssh: { words: sh(staying), port } } });
    expect(await count()).toBe("0\n");

    const clients = [1, 2].map(() => connect(port, "127.0.0.1"));
    await until(async () => (await count()) === "2\n");
    for (const socket of [...clients, ...visitors]) socket.destroy();

    await until(async () => (await count()) === "0\n");
    await new Promise((resolve) => listener.close(resolve));
  });

  it("is restored after its attendant is killed, with new programs", async () => {
    const run = await fixture.run([]);
    await setAccess({ revision: 5, services: { jupyter: { words: server("starts"), env: { TOKEN: "a" }, port: 1 } } });
    await until(() => listLines("starts").length === 1);
    const attendant = listDescendants(run.child.pid ?? 0).find((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(fixture.file("attendant")),
    );

    process.kill(attendant ?? 0, "SIGKILL");

    await until(() => listLines("starts").length === 2);
    expect(isAlive(Number(listLines("starts")[0]?.split(" ")[0]))).toBe(false);
    await until(async () => (await fixture.ask("status")).code === 0);
    expect(await status()).toMatchObject({ revision: 5, services: { jupyter: { failures: 0 } } });
  });

  it("survives a restart of the container", async () => {
    const first = await fixture.run([]);
    const services = { jupyter: { words: server("starts", "exec sleep 1"), env: { TOKEN: "a" }, port: 1 } };
    await setAccess({ revision: 5, files: { authorized_keys: "key\n" }, services });
    await until(() => listLines("starts").length === 1);
    await first.kill();
    writeFileSync(fixture.file("starts"), "");

    await fixture.run([]);

    await until(() => listLines("starts").length > 0);
    expect(await status()).toMatchObject({ revision: 5 });
  });

  it.each([
    ["a file elsewhere", { revision: 1, files: { "../opened": "" } }],
    ["no object", []],
  ])("with %s is refused", async (_, access) => {
    await fixture.run([]);

    expect((await setAccess(access)).code).toBeGreaterThanOrEqual(64);
    expect(await status()).toMatchObject({ revision: 0 });
  });
});

describe("the GPU usage", () => {
  const withTool = async (script: string, flags: readonly string[] = []) => {
    writeFileSync(fixture.file("nvidia-smi"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    await fixture.run([], {
      flags: ["--attended", ["--gpu-every=100ms", ...flags].join(" ")],
      env: { PATH: `${fixture.home}:${process.env.PATH}`, USE: fixture.file("use") },
    });
  };

  it("is reported as the time since a GPU was busy", async () => {
    writeFileSync(fixture.file("use"), "0\n0\n");
    await withTool('cat "$USE"');
    await until(async () => (await status()).gpuIdleSeconds >= 2);

    writeFileSync(fixture.file("use"), "0\n3\n");

    await until(async () => (await status()).gpuIdleSeconds === 0);
  });

  it("is measured every few seconds, so short usage is not missed", async () => {
    const said = await promisify(execFile)(fixture.file("attendant"), ["-h"]);

    expect(said.stderr).toMatch(/gpu-every duration\n.*\(default 5s\)/);
  });

  it("of one moment counts, whatever the tool reports after it", async () => {
    writeFileSync(fixture.file("use"), "0\n");
    await withTool('cat "$USE"; [ ! -e "$USE.burst" ] || { rm "$USE.burst"; echo 90; }; echo x >>"$USE.asked"');
    await until(async () => (await status()).gpuIdleSeconds >= 3);

    const before = Date.now();
    writeFileSync(fixture.file("use.burst"), "");
    const length = listLines("use.asked").length;
    await until(() => listLines("use.asked").length > length + 1);

    const { gpuIdleSeconds } = await status();
    expect(gpuIdleSeconds).toBeLessThanOrEqual((Date.now() - before) / 1000);
  });

  it.each([
    ["fails", "echo 0; exit 1"],
    ["says something else", "echo '[N/A]'"],
  ])("is never reported as idle if the tool %s", async (_, script) => {
    await withTool(`echo x >>"$USE"; ${script}`);
    await until(() => listLines("use").length > 15);

    expect((await status()).gpuIdleSeconds ?? 0).toBe(0);
  });

  it("is no longer reported once the tool hangs, as it does with a failed driver", async () => {
    writeFileSync(fixture.file("use"), "0\n");
    await withTool('cat "$USE"; [ ! -e "$USE.hangs" ] || sleep 600', ["--gpu-within=4s"]);
    await until(async () => (await status()).gpuIdleSeconds >= 1);

    writeFileSync(fixture.file("use.hangs"), "");

    await until(async () => (await status()).gpuIdleSeconds === undefined);
  });

  it("is not reported without the tool", async () => {
    await fixture.run([], { env: { PATH: "/nowhere" } });

    expect(await status()).not.toHaveProperty("gpuIdleSeconds");
  });
});
