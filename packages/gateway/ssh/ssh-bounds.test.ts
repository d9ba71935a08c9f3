import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as dial, type Socket } from "node:net";
import { Duplex, PassThrough } from "node:stream";
import ssh2, { type Client, type ClientChannel } from "ssh2";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startHomeSsh } from "#local/home-ssh.ts";
import { eventually } from "#process/fixture.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { recordingLog, silentLog } from "#tests/fixtures/log.ts";
import type { SshDirectory } from "../ports/directory.ts";
import type { ProgramEnd, Reach, WantedProgram } from "../ports/reach.ts";
import { newSshKey, type SshKeyPair } from "./login/ssh-keys.ts";
import type { SshServer } from "./ssh.ts";
import { exec } from "./ssh-fixture.ts";

/** A connection into a run whose end neither reads nor writes. */
const deaf = () => new Duplex({ read: () => undefined, write: () => undefined });

describe("an SSH server", () => {
  let home: string;
  let server: SshServer;
  let log: ReturnType<typeof recordingLog>;
  let options: Parameters<typeof startHomeSsh>[0];
  let key: SshKeyPair;
  let dialled: Duplex[];
  /** The number of checks of open connections, and the most requests in one check. */
  let passes: number;
  let mostAsked: number;
  let starts: number;
  /** Bytes that each relay holds. */
  let relayBytes: number;
  /** Programs that were hung up. Those of the test before may still be, and are not in the list. */
  let hungUp: WantedProgram[];
  let started: { readonly end: (end: ProgramEnd) => void; readonly wanted: WantedProgram }[];
  let beforeStart: Promise<unknown>;
  let afterHangUp: Promise<unknown>;
  const clients = new Set<Client>();
  beforeEach(async () => {
    home = mkdtempSync("/var/tmp/berth-ssh-");
    key = newSshKey();
    [dialled, started, beforeStart, afterHangUp] = [[], [], Promise.resolve(), Promise.resolve()];
    [passes, mostAsked, starts, relayBytes] = [0, 0, 0, 0];
    const ownHungUp: WantedProgram[] = [];
    hungUp = ownHungUp;
    let input = 0;
    const directory: SshDirectory = {
      find: async (login) => [{ name: login, keys: [key.public] }],
      findNotice: async () => undefined,
      findEnded: async () => undefined,
      hasNoDisk: async () => false,
      admits: async () => {
        input += 1;
        mostAsked = Math.max(mostAsked, input);
        // All requests of one check arrive before that.
        if (input === 1) {
          passes += 1;
          queueMicrotask(() => {
            input = 0;
          });
        }
        return true;
      },
    };
    const reach: Reach = {
      start: async (_run, wanted) => {
        starts += 1;
        await beforeStart;
        const { promise: ended, resolve: end } = Promise.withResolvers<ProgramEnd>();
        started.push({ end, wanted });
        const hangUp = async () => {
          ownHungUp.push(wanted);
          await afterHangUp;
        };
        return { input: deaf(), output: new PassThrough(), ended, resize: () => undefined, hangUp };
      },
      dial: async () => {
        const socket = deaf();
        dialled.push(socket);
        return socket;
      },
      openTerminal: async () => deaf(),
      openRelay: async (_run, _place, onVisitor) => {
        setImmediate(() => onVisitor(deaf()));
        const ended = new Promise<void>(() => undefined);
        return { address: Promise.resolve(""), ended, heldBytes: () => relayBytes, close: () => undefined };
      },
    };
    log = recordingLog();
    options = { home, directory, reach, port: 0, log, loginWithinMs: 2 * PATIENCE_MS };
    server = await startHomeSsh(options);
  });
  afterEach(async () => {
    for (const client of clients) client.destroy();
    clients.clear();
    await server.stop();
    rmSync(home, { recursive: true });
  });

  const connect = async (username = "one"): Promise<Client> => {
    const client = new ssh2.Client();
    clients.add(client);
    const ready = once(client, "ready");
    const readyTimeout = 2 * PATIENCE_MS;
    client.connect({ host: "127.0.0.1", port: server.port, username, privateKey: key.private, readyTimeout });
    await ready;
    return client.on("error", () => undefined);
  };
  const forward = (client: Client): Promise<ClientChannel> => {
    const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
    client.forwardOut("127.0.0.1", 1, "127.0.0.1", 80, (error, channel) => (error ? reject(error) : resolve(channel)));
    return promise;
  };
  const forwardToSocket = (client: Client): Promise<ClientChannel> => {
    const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
    client.openssh_forwardOutStreamLocal("/tmp/x", (error, channel) => (error ? reject(error) : resolve(channel)));
    return promise;
  };
  /** Counts the opened channels, and lists the refusals' texts. */
  const outcomes = async (all: readonly Promise<ClientChannel>[]) => {
    const settled = await Promise.allSettled(all);
    const words = settled.flatMap((entry) => (entry.status === "rejected" ? [String(entry.reason)] : []));
    return { opened: all.length - words.length, answers: [...new Set(words)] };
  };
  const times = <Value>(count: number, make: () => Value): Value[] => Array.from({ length: count }, make);

  it("allows ten sessions per connection, and another once one of them has ended", async () => {
    const client = await connect();

    const { opened, answers } = await outcomes(times(100, () => exec(client, "true")));
    const atOnce = started.length;
    started[0]?.end({ exitCode: 0 });
    const another = await eventually(
      () => exec(client, "true").catch(() => undefined),
      (channel) => channel !== undefined,
    );

    expect([opened, atOnce, another !== undefined]).toEqual([10, 10, true]);
    expect(answers).toEqual(["Error: (SSH) Channel open failure: This connection has 10 sessions already"]);
  });

  it("allows 128 forwards per connection, to ports and to sockets", async () => {
    const client = await connect();

    const all = [...times(120, () => forward(client)), ...times(16, () => forwardToSocket(client))];
    const { opened, answers } = await outcomes(all);
    dialled[0]?.destroy();
    await eventually(
      () => forward(client).catch(() => undefined),
      (channel) => channel !== undefined,
    );

    expect(opened).toBe(128);
    expect(answers).toEqual(["Error: (SSH) Channel open failure: This connection has 128 forwards already"]);
  });

  it("allows 128 sessions per environment over all clients", async () => {
    const several = await Promise.all(times(14, () => connect()));

    const { opened, answers } = await outcomes(several.flatMap((client) => times(10, () => exec(client, "true"))));
    const otherEntry = await outcomes([exec(await connect("another"), "true")]);
    for (const client of several) client.destroy();
    const later = await eventually(
      async () => outcomes([exec(await connect(), "true")]),
      (entry) => entry.opened === 1,
    );

    expect([opened, otherEntry.opened, later.opened]).toEqual([128, 1, 1]);
    expect(answers).toEqual(["Error: (SSH) Channel open failure: This environment has 128 SSH sessions already"]);
  });

  it("does not count a closed session in which no program was started", async () => {
    const client = await connect();
    const refused = () =>
      new Promise<string>((resolve) => client.subsys("none", (error) => resolve(error ? "refused" : "started")));

    for (let n = 0; n < 30; n += 1) expect(await refused()).toBe("refused");

    expect(started).toHaveLength(0);
  });

  it("runs one program per session, also if a client requests more", async () => {
    const client = await connect();
    const channel = await exec(client, "true");
    const { _protocol: protocol } = client as unknown as {
      _protocol: { exec(channel: number, command: string): void };
    };
    const { outgoing } = channel as unknown as { outgoing: { id: number } };

    for (let n = 0; n < 10; n += 1) protocol.exec(outgoing.id, "true");
    await exec(client, "true");

    expect(started).toHaveLength(2);
  });

  it("accepts at most 32 variables, and only short ones", async () => {
    const client = await connect();
    const letter = (n: number) => String.fromCharCode(65 + (n % 26));
    const names = times(700, () => 0).map((_, n) => `LC_${letter(n)}${letter(n / 26)}`);
    const env = { ...Object.fromEntries(names.map((name) => [name, "C"])), LANG: "x".repeat(10_000) };

    await new Promise<void>((resolve, reject) => {
      client.exec("true", { env }, (error) => (error ? reject(error) : resolve()));
    });

    expect(Object.keys(started[0]?.wanted.env ?? {}).filter((name) => /^(?:LANG|LC_)/.test(name))).toHaveLength(32);
    expect(started[0]?.wanted.env.LANG).toBeUndefined();
  });

  it("closes the forwards of a connection that ends with unread output", async () => {
    const client = await connect();
    const channels = await Promise.all(times(20, () => forward(client)));
    for (const channel of channels) channel.write(randomBytes(1_000_000));
    await eventually(
      () => dialled.every(({ writableLength }) => writableLength > 0),
      (all) => all,
    );

    client.destroy();

    await eventually(
      () => dialled.filter(({ destroyed }) => !destroyed).length,
      (left) => left === 0,
    );
  });

  it("cuts the connection whose relays hold the most, beyond 128 MiB of an environment", async () => {
    const [small, large] = [await connect(), await connect()];
    await Promise.all([small, large, large].map(forwardToSocket));
    const closed = once(large, "close");

    relayBytes = 50 * 1024 * 1024;
    await closed;

    expect((await outcomes([exec(small, "true")])).opened).toBe(1);
  });

  it("reports the end of a connection to a program that was still starting", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    beforeStart = promise;
    const client = await connect();
    await exec(client, "true");
    await forward(client);
    client.destroy();
    await eventually(
      () => dialled.every(({ destroyed }) => destroyed),
      (all) => all,
    );

    resolve();

    await eventually(
      () => hungUp.length,
      (count) => count === 1,
    );
  });

  it("counts a closed session while its program starts or is hung up", async () => {
    const [starting, hangingUp] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    [beforeStart, afterHangUp] = [starting.promise, hangingUp.promise];
    const client = await connect();
    const open = async () => {
      const channel = await exec(client, "true");
      const closed = once(channel.resume(), "close");
      channel.close();
      await closed;
    };

    const atStart = await Promise.allSettled(times(30, open));
    const begun = starts;
    starting.resolve();
    await eventually(
      async () => hungUp.length,
      (count) => count === 10,
    );
    const atHangUp = await Promise.allSettled([open()]);
    hangingUp.resolve();
    await eventually(
      () =>
        open().then(
          () => true,
          () => false,
        ),
      (isOpen) => isOpen,
    );

    expect([begun, atStart.filter(({ status }) => status === "rejected").length]).toEqual([10, 20]);
    expect(atHangUp).toMatchObject([{ status: "rejected" }]);
  });

  it("counts the starting programs of a connection that has ended", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    beforeStart = promise;
    const several = await Promise.all(times(13, () => connect()));
    await outcomes(several.flatMap((client) => times(10, () => exec(client, "true"))));
    for (const client of several) client.destroy();

    const before = await outcomes([exec(await connect(), "true")]);
    resolve();
    const later = await eventually(
      async () => outcomes([exec(await connect(), "true")]),
      (entry) => entry.opened === 1,
    );

    expect([starts - later.opened, before.opened]).toEqual([128, 0]);
  });

  const silent = async (localAddress = "127.0.0.1"): Promise<Socket> => {
    const socket = dial({ port: server.port, host: "127.0.0.1", localAddress }).on("error", () => undefined);
    await once(socket, "connect");
    return socket.resume();
  };

  const full = () => log.lines.filter(({ event }) => event === "gateway full").map(({ fields }) => fields);

  it("takes no more connections than a replica may have, and logs it once", async () => {
    await server.stop();
    server = await startHomeSsh({ ...options, mostConnections: 2 });
    const [first] = await Promise.all(times(2, () => connect()));

    for (let n = 0; n < 3; n += 1) await once(await silent(), "close");
    const refusals = full();
    first?.end();

    expect(
      (await eventually(
        () => connect().catch(() => undefined),
        (client) => client !== undefined,
      )) === undefined,
    ).toBe(false);
    expect(refusals).toEqual([{ bound: "SSH connections", most: 2 }]);
  });

  it("drops the oldest silent connections, so a flood of them blocks no login", async () => {
    const open = new Set<Socket>();
    const strangers: Socket[] = [];
    for (let n = 0; n < 10_000; n += 1) {
      const socket = await silent(`127.0.1.${n % 200}`);
      strangers.push(socket);
      open.add(socket);
      socket.once("close", () => open.delete(socket));
    }

    const several = await Promise.all(times(10, () => connect()));

    await eventually(
      async () => open.size,
      (size) => size <= 500,
    );
    expect(strangers.filter((socket) => open.has(socket))).toEqual(strangers.slice(-open.size));
    expect(full()).toEqual([{ bound: "SSH logins", most: 500 }]);
    expect((await outcomes(several.map((client) => exec(client, "true")))).opened).toBe(10);
    for (const socket of strangers) socket.destroy();
  });

  it("cuts off a client that has not logged in in time", async () => {
    await server.stop();
    const directory = { find: async () => [] } as Partial<SshDirectory> as SshDirectory;
    const reach = {} as Reach;
    server = await startHomeSsh({ home, directory, reach, port: 0, log: silentLog(), loginWithinMs: 50 });

    const socket = await silent();

    await once(socket, "close");
  });

  it.each([
    ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\nHost: berth\r\n\r\n")],
    ["a name of the client without an end", Buffer.alloc(100_000, "S")],
    ["bytes that are no packet", Buffer.concat([Buffer.from("SSH-2.0-x\r\n"), Buffer.alloc(1_000, 255)])],
  ])("ends a connection that begins with %s, and goes on with others", async (_, bytes) => {
    const socket = await silent();
    socket.write(bytes);
    await once(socket, "close");

    const client = await connect();

    expect((await outcomes([exec(client, "true")])).opened).toBe(1);
  });

  it("checks each key once for all of its connections", async () => {
    await Promise.all(times(40, () => connect()));

    [passes, mostAsked] = [0, 0];
    await eventually(
      () => passes,
      (count) => count >= 2,
    );

    expect(mostAsked).toBe(1);
  });
});
