import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect } from "vitest";
import { eventually } from "#process/fixture.ts";
import { freePort } from "../../fixtures/free-port.ts";
import { type LeftOut, type SshGuest, testsExcept } from "./guest.ts";

/** Conformance tests for the forwards of an OpenSSH client. */
export function forwardsConformance(open: () => Promise<SshGuest>, leftOut: LeftOut = {}): void {
  const test = testsExcept(leftOut);
  let guest: SshGuest;
  const servers = new Set<Server>();
  beforeEach(async () => {
    guest = await open();
  });
  afterEach(async () => {
    for (const server of servers) server.close();
    servers.clear();
    await guest.close();
  });
  /** A server beside the client that answers a line in capitals. */
  const listen = async (): Promise<number> => {
    const server = createServer({ allowHalfOpen: true }, shout);
    servers.add(server);
    await once(server.listen(0, "127.0.0.1"), "listening");
    return (server.address() as AddressInfo).port;
  };

  test("lead a port of the environment to the client, until the client disconnects", async () => {
    const [port, inside] = [await listen(), await freePort()];
    const staying = guest.stay(["-R", `${inside}:127.0.0.1:${port}`], "echo up; exec sleep 600");
    await once(staying.stdout ?? staying, "data");

    const answer = await guest.ssh([], guest.sockets.ask(String(inside), "hello"));
    staying.kill("SIGKILL");
    const later = await eventually(
      () => guest.ssh([], guest.sockets.ask(String(inside), "hello")),
      ({ out }) => out !== "HELLO\n",
    );

    expect(answer).toEqual({ code: 0, out: "HELLO\n", err: "" });
    expect(later.out).toBe("ECONNREFUSED\n");
  });

  test("lead a port that is chosen inside to the client", async () => {
    const port = await listen();
    const staying = guest.stay(["-v", "-R", `0:127.0.0.1:${port}`, "-N"]);
    let said = "";
    staying.stderr?.on("data", (part: Buffer) => {
      said += part.toString();
    });
    const chosen = await eventually(
      () => /Allocated port (\d+) for remote forward/.exec(said)?.[1],
      (found) => found !== undefined,
    );

    const answer = await guest.ssh([], guest.sockets.ask(chosen ?? "", "hello"));

    expect(answer.out).toBe("HELLO\n");
  });

  test("lead a path of the environment to the client, only for its user, until the client disconnects", async () => {
    const [port, path] = [await listen(), guest.pathInside("there")];
    const staying = guest.stay(["-R", `${path}:127.0.0.1:${port}`], "echo up; exec sleep 600");
    await once(staying.stdout ?? staying, "data");

    const answer = await guest.ssh([], `stat -c %a ${path} 2>&1; ${guest.sockets.ask(path, "hello")}`);
    staying.kill("SIGKILL");
    const later = await eventually(
      () => guest.ssh([], `test -e ${path}`),
      ({ code }) => code !== 0,
    );

    expect(answer.out).toBe("600\nHELLO\n");
    expect(later.code).toBe(1);
  });

  test("lead a port of the client to a port of the environment", async () => {
    const [port, inside] = [await freePort(), await freePort()];
    const forward = ["-L", `127.0.0.1:${port}:127.0.0.1:${inside}`];
    const staying = guest.stay(forward, guest.sockets.greet(String(inside), "inside"));
    await once(staying.stdout ?? staying, "data");

    const answer = await heard(connect({ port, host: "127.0.0.1" }), Buffer.from("hello"), "open");

    expect(answer).toBe("inside");
  });

  test("refuse a port of the environment on which no program listens", async () => {
    const refused = await guest.ssh(["-W", `127.0.0.1:${await freePort()}`]);

    expect(refused).toMatchObject({ code: 255, out: "", err: expect.stringMatching(/forwarding failed/) });
  });

  test("refuse a path of the environment at which no program listens", async () => {
    const [port, path] = [await freePort(), guest.pathInside("absent")];
    const staying = guest.stay(["-v", "-L", `127.0.0.1:${port}:${path}`], "echo up; exec sleep 600");
    const words = text(staying.stderr as Readable);
    await once(staying.stdout ?? staying, "data");

    await heard(connect({ port, host: "127.0.0.1" }), Buffer.from("hello"), "open").catch(() => undefined);
    staying.kill();

    expect(await words).toContain("open failed: connect failed: The relay could not listen or connect");
  });

  test("end each direction of a connection to a port of the environment separately", async () => {
    const [port, inside] = [await freePort(), await freePort()];
    const forward = ["-L", `127.0.0.1:${port}:127.0.0.1:${inside}`];
    const staying = guest.stay(forward, guest.sockets.count(String(inside)));
    await once(staying.stdout ?? staying, "data");

    const many = Buffer.alloc(5_000_000, "x");
    const answer = await heard(connect({ port, host: "127.0.0.1", allowHalfOpen: true }), many);

    expect(answer).toBe("5000000");
  });

  test("lead a port and a path of the client to a path of the environment", async () => {
    const [port, path, local] = [await freePort(), guest.pathInside("here"), join(guest.root, "local")];
    const staying = guest.stay(
      [...["-L", `127.0.0.1:${port}:${path}`], ...["-L", `${local}:${path}`]],
      guest.sockets.count(path),
    );
    await once(staying.stdout ?? staying, "data");

    const many = Buffer.alloc(5_000_000, "x");
    const [byPort, byPath] = await Promise.all([
      heard(connect({ port, host: "127.0.0.1", allowHalfOpen: true }), many),
      heard(connect({ path: local, allowHalfOpen: true }), many),
    ]);

    expect([byPort, byPath]).toEqual(["5000000", "5000000"]);
  });

  test("refuse a port that is taken and a path that exists", async () => {
    const [port, path] = [await listen(), guest.pathInside("taken")];
    const inside = await freePort();
    const staying = guest.stay(["-R", `${inside}:127.0.0.1:${port}`], `touch ${path}; echo up; exec sleep 600`);
    await once(staying.stdout ?? staying, "data");

    const answers = await Promise.all([
      guest.ssh(["-R", `${inside}:127.0.0.1:${port}`], "true"),
      guest.ssh(["-R", `${path}:127.0.0.1:${port}`], "true"),
      guest.ssh(["-R", `/nowhere/there:127.0.0.1:${port}`], "true"),
      guest.ssh(["-R", `192.0.2.1:0:127.0.0.1:${port}`], "true"),
    ]);
    const privileged = await guest.ssh(["-R", `81:127.0.0.1:${port}`], "true");

    for (const { code, err } of answers) expect([code, err]).toEqual([255, expect.stringMatching(/forward/)]);
    expect(privileged.code).toBe(guest.mayUseLowPorts ? 0 : 255);
  });

  test("are limited to sixteen per client, and all end with it", async () => {
    const client = await guest.connect();
    const before = await guest.countProcesses();
    const asking = Array.from({ length: 1_000 }, () => {
      return new Promise((resolve) => client.forwardIn("127.0.0.1", 0, (error) => resolve(error === undefined)));
    });

    const answers = await Promise.all(asking);
    client.destroy();
    await eventually(guest.countProcesses, (count) => count <= before);

    expect(answers.filter((isOpen) => isOpen)).toHaveLength(16);
  });

  test("open at most 128 channels to a client that does not answer, and reject further connections", async () => {
    const client = await guest.connect();
    let input = 0;
    client.on("tcp connection", () => {
      input += 1;
    });
    const port = await new Promise<number>((resolve, reject) => {
      client.forwardIn("127.0.0.1", 0, (error, bound) => (error ? reject(error) : resolve(bound)));
    });

    const { out } = await guest.ssh([], guest.sockets.knock(port, 128));
    // The two clients have connections of their own, so the second may end before the first has read all.
    await eventually(
      () => input,
      (count) => count >= 128,
    );

    expect([input, out]).toEqual([128, "turned away\n"]);
  });

  test("end with the key of their client, even if that client never closes its end", async () => {
    const [port, before] = [await listen(), await guest.countProcesses()];
    const staying = guest.stay(["-R", `${guest.pathInside("kept")}:127.0.0.1:${port}`], "echo up; exec sleep 600");
    await once(staying.stdout ?? staying, "data");

    staying.kill("SIGSTOP");
    await guest.shutOut();
    // A process of an earlier client may have been counted before, and be gone now.
    await eventually(guest.countProcesses, (count) => count <= before).finally(() => staying.kill("SIGKILL"));
  });

  test("lead to the ports of the environment, by SOCKS", async () => {
    const [port, inside] = [await freePort(), await freePort()];
    const staying = guest.stay(["-D", `127.0.0.1:${port}`], guest.sockets.greet(String(inside), "inside"));
    await once(staying.stdout ?? staying, "data");

    const socks = connect({ port, host: "127.0.0.1" });
    // SOCKS 4: connect to 127.0.0.1 at this port, with an empty user id.
    const answer = await heard(socks, Buffer.from([4, 1, inside >> 8, inside & 0xff, 127, 0, 0, 1, 0]), "open");

    expect(answer.slice(-6)).toBe("inside");
  });
}

function shout(socket: Socket): void {
  socket.on("error", () => undefined);
  socket.once("data", (line: Buffer) => socket.end(line.toString().toUpperCase()));
}

/** Says this, and hears all that is answered. */
async function heard(socket: Socket, words: Buffer, after: "ended" | "open" = "ended"): Promise<string> {
  let answer = "";
  socket.on("data", (part: Buffer) => {
    answer += part.toString("latin1");
  });
  if (after === "ended") socket.end(words);
  else socket.write(words);
  await once(socket, "end");
  socket.destroy();
  return answer;
}
