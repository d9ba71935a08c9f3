import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, listProcesses } from "#process/fixture.ts";
import { freePort } from "#tests/fixtures/free-port.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)("forwards of the OpenSSH client, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  const servers = new Set<Server>();
  beforeEach(async () => {
    fixture = await openOpenSshFixture(isolation);
  });
  afterEach(async () => {
    for (const server of servers) server.close();
    servers.clear();
    await fixture.close();
  });
  /** A server beside the client that answers a line in capitals. */
  const listen = async (): Promise<number> => {
    const server = createServer({ allowHalfOpen: true }, shout);
    servers.add(server);
    await once(server.listen(0, "127.0.0.1"), "listening");
    return (server.address() as AddressInfo).port;
  };
  /** In a directory that only the run has, even without a sandbox. */
  const pathInside = (name: string) => (isolation === "none" ? join(fixture.root, name) : `/tmp/${name}`);
  /** Sends a line to a port or a path inside, and returns the answer. */
  const ask = (place: string, line: string) => {
    const program = `const s = net.connect(${JSON.stringify(place)}); s.write("${line}\\n"); s.pipe(process.stdout); s.on("error", (e) => console.log(e.code))`;
    return `${fixture.nodeInside} -e '${program}'`;
  };

  it("lead a port of the environment to the client, until the client disconnects", async () => {
    const [port, inside] = [await listen(), await freePort()];
    const staying = fixture.stay(["-R", `${inside}:127.0.0.1:${port}`], "echo up; exec sleep 600");
    await once(staying.stdout ?? staying, "data");

    const answer = await fixture.ssh([], ask(String(inside), "hello"));
    staying.kill("SIGKILL");
    const later = await eventually(
      () => fixture.ssh([], ask(String(inside), "hello")),
      ({ out }) => out !== "HELLO\n",
    );

    expect(answer).toEqual({ code: 0, out: "HELLO\n", err: "" });
    expect(later.out).toBe("ECONNREFUSED\n");
  });

  it("lead a port that is chosen inside to the client", async () => {
    const port = await listen();
    const staying = fixture.stay(["-v", "-R", `0:127.0.0.1:${port}`, "-N"]);
    let said = "";
    staying.stderr?.on("data", (part: Buffer) => {
      said += part.toString();
    });
    const chosen = await eventually(
      () => /Allocated port (\d+) for remote forward/.exec(said)?.[1],
      (found) => found !== undefined,
    );

    const answer = await fixture.ssh([], ask(chosen ?? "", "hello"));

    expect(answer.out).toBe("HELLO\n");
  });

  it("lead a path of the environment to the client, only for its user, until the client disconnects", async () => {
    const [port, path] = [await listen(), pathInside("there")];
    const staying = fixture.stay(["-R", `${path}:127.0.0.1:${port}`], "echo up; exec sleep 600");
    await once(staying.stdout ?? staying, "data");

    const answer = await fixture.ssh([], `stat -c %a ${path} 2>&1; ${ask(path, "hello")}`);
    staying.kill("SIGKILL");
    const later = await eventually(
      () => fixture.ssh([], `test -e ${path}`),
      ({ code }) => code !== 0,
    );

    expect(answer.out).toBe("600\nHELLO\n");
    expect(later.code).toBe(1);
  });

  it("lead a port of the client to a port of the environment, and fail if no program listens there", async () => {
    const [port, inside, silent] = [await freePort(), await freePort(), await freePort()];
    const program = `net.createServer({ allowHalfOpen: true }, (s) => { let n = 0; s.on("data", (d) => { n += d.length; }); s.on("end", () => s.end(String(n))); }).listen(${inside}, "127.0.0.1", () => console.log("up"))`;
    const forward = ["-L", `127.0.0.1:${port}:127.0.0.1:${inside}`];
    const staying = fixture.stay(forward, `exec ${fixture.nodeInside} -e '${program}'`);
    await once(staying.stdout ?? staying, "data");

    const many = Buffer.alloc(5_000_000, "x");
    const answer = await heard(connect({ port, host: "127.0.0.1", allowHalfOpen: true }), many);
    const refused = await fixture.ssh(["-W", `127.0.0.1:${silent}`]);

    expect(answer).toBe("5000000");
    expect(refused).toMatchObject({ code: 255, out: "", err: expect.stringMatching(/forwarding failed/) });
  });

  it("lead a port and a path of the client to a path of the environment", async () => {
    const [port, path, local] = [await freePort(), pathInside("here"), join(fixture.root, "local")];
    const program = `net.createServer({ allowHalfOpen: true }, (s) => { let n = 0; s.on("data", (d) => { n += d.length; }); s.on("end", () => s.end(String(n))); }).listen("${path}", () => console.log("up"))`;
    const staying = fixture.stay(
      [...["-L", `127.0.0.1:${port}:${path}`], ...["-L", `${local}:${path}`]],
      `exec ${fixture.nodeInside} -e '${program}'`,
    );
    await once(staying.stdout ?? staying, "data");

    const many = Buffer.alloc(5_000_000, "x");
    const [byPort, byPath] = await Promise.all([
      heard(connect({ port, host: "127.0.0.1", allowHalfOpen: true }), many),
      heard(connect({ path: local, allowHalfOpen: true }), many),
    ]);

    expect([byPort, byPath]).toEqual(["5000000", "5000000"]);
  });

  it("refuse a port that is taken and a path that exists", async () => {
    const [port, path] = [await listen(), pathInside("taken")];
    const inside = await freePort();
    const staying = fixture.stay(["-R", `${inside}:127.0.0.1:${port}`], `touch ${path}; echo up; exec sleep 600`);
    await once(staying.stdout ?? staying, "data");

    const answers = await Promise.all([
      fixture.ssh(["-R", `${inside}:127.0.0.1:${port}`], "true"),
      fixture.ssh(["-R", `${path}:127.0.0.1:${port}`], "true"),
      fixture.ssh(["-R", `/nowhere/there:127.0.0.1:${port}`], "true"),
      fixture.ssh(["-R", `192.0.2.1:0:127.0.0.1:${port}`], "true"),
    ]);
    const privileged = await fixture.ssh(["-R", `81:127.0.0.1:${port}`], "true");

    for (const { code, err } of answers) expect([code, err]).toEqual([255, expect.stringMatching(/forward/)]);
    // Without a sandbox, a run has all rights of the stack's user.
    const hasRights = isolation === "none" && process.getuid?.() === 0;
    expect(privileged.code).toBe(hasRights ? 0 : 255);
  });

  it("are limited to sixteen per client, and all end with it", async () => {
    const client = await fixture.connect();
    const before = listProcesses(fixture.home, fixture.uid).length;
    const asking = Array.from({ length: 1_000 }, () => {
      return new Promise((resolve) => client.forwardIn("127.0.0.1", 0, (error) => resolve(error === undefined)));
    });

    const answers = await Promise.all(asking);
    client.destroy();
    await eventually(
      () => listProcesses(fixture.home, fixture.uid).length,
      (count) => count <= before,
    );

    expect(answers.filter((isOpen) => isOpen)).toHaveLength(16);
  });

  it("open at most 128 channels to a client that does not answer, and reject further connections", async () => {
    const client = await fixture.connect();
    let input = 0;
    client.on("tcp connection", () => {
      input += 1;
    });
    const port = await new Promise<number>((resolve, reject) => {
      client.forwardIn("127.0.0.1", 0, (error, bound) => (error ? reject(error) : resolve(bound)));
    });

    const program = `let n = 0;
      const next = () => {
        const last = ++n > 128;
        const socket = net.connect(${port}, "127.0.0.1", () => last || socket.resetAndDestroy());
        socket.on("error", () => {}).on("close", () => last ? console.log("turned away") : next());
      };
      next();`;
    const { out } = await fixture.ssh([], `${fixture.nodeInside} -e '${program}'`);

    expect([input, out]).toEqual([128, "turned away\n"]);
  });

  it("end with the key of their client, even if that client never closes its end", async () => {
    const [port, before] = [await listen(), listProcesses(fixture.home, fixture.uid).length];
    const staying = fixture.stay(["-R", `${pathInside("kept")}:127.0.0.1:${port}`], "echo up; exec sleep 600");
    await once(staying.stdout ?? staying, "data");

    staying.kill("SIGSTOP");
    await fixture.compute.setAccess(fixture.uid, 1, { revision: 1, login: fixture.login, keys: [], jupyter: null });
    const left = await eventually(
      () => listProcesses(fixture.home, fixture.uid).length,
      (count) => count <= before,
    ).finally(() => staying.kill("SIGKILL"));

    expect(left).toBe(before);
  });

  it("lead to the ports of the environment, by SOCKS", async () => {
    const [port, inside] = [await freePort(), await freePort()];
    const program = `net.createServer((s) => s.end("inside")).listen(${inside}, "127.0.0.1", () => console.log("up"))`;
    const staying = fixture.stay(["-D", `127.0.0.1:${port}`], `exec ${fixture.nodeInside} -e '${program}'`);
    await once(staying.stdout ?? staying, "data");

    const socks = connect({ port, host: "127.0.0.1" });
    // SOCKS 4: connect to 127.0.0.1 at this port, with an empty user id.
    const answer = await heard(socks, Buffer.from([4, 1, inside >> 8, inside & 0xff, 127, 0, 0, 1, 0]), "open");

    expect(answer.slice(-6)).toBe("inside");
  });
});

function shout(socket: Socket): void {
  socket.on("error", () => undefined);
  socket.once("data", (line: Buffer) => socket.end(line.toString().toUpperCase()));
}

/** Says this, and hears all that is answered. */
async function heard(socket: Socket, words: Buffer, after: "ended" | "open" = "ended"): Promise<string> {
  let text = "";
  socket.on("data", (part: Buffer) => {
    text += part.toString("latin1");
  });
  if (after === "ended") socket.end(words);
  else socket.write(words);
  await once(socket, "end");
  socket.destroy();
  return text;
}
