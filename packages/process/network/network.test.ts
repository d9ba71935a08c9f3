import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { metadataAddresses } from "#core/metadata-addresses.ts";
import { logText } from "#tests/fixtures/log-text.ts";
import { eventually, type Fixture, findPids, lacks, listProcesses, openFixture } from "../fixture.ts";
import { PATIENCE_MS } from "../patience-fixture.ts";
import { readProcesses, writeMark } from "../runs/records.ts";
import { isAlive } from "../supervisor/process-identity.ts";
import { closedRoutes, enteringNetwork, joinPatiently, type joinToMachine } from "./network.ts";

const outer = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

const lacking = lacks("own");

describe("a run's own network", { retry: 0 }, () => {
  if (lacking) {
    it("needs slirp4netns", ({ skip }) => skip(lacking));
    return;
  }

  let fixture: Fixture;
  let server: Server;
  let port: number;
  const seen: (string | undefined)[] = [];
  /** The kernel accepts a connection before the server sees it. */
  const heard = () =>
    eventually(
      () => seen,
      ({ length }) => length > 0,
    );

  beforeEach(async () => {
    fixture = openFixture({ isolation: "bubblewrap" });
    seen.length = 0;
    server = createServer((socket) => {
      seen.push(socket.localAddress);
      socket.end();
    });
    port = await getPort(server, "0.0.0.0");
    writeFileSync(join(fixture.shown, "reach.cjs"), reaching);
  });
  afterEach(async () => {
    server.close();
    await fixture.close();
  });

  const node = (file: string) => `${join(fixture.home, "tools/node")} ${join(fixture.shown, file)}`;
  const getOutput = async (command: string) => {
    await fixture.compute.apply(fixture.runOf({ command }));
    await fixture.ended();
    return logText(fixture.compute.readLog(fixture.uid, 1));
  };
  const getLaterOutput = async (command: string) => {
    const exec = { id: "later", words: ["/bin/sh", "-c", command], env: {}, stdin: "", directory: undefined };
    await fixture.compute.startExec(fixture.uid, 1, { ...exec, timeoutMs: PATIENCE_MS });
    const ended = await eventually(
      () => fixture.compute.readExec(fixture.uid, 1, "later", 1_000),
      (status) => status?.state === "ended",
    );
    return ended?.stdout ?? "";
  };
  const cables = () => listProcesses(fixture.home, fixture.uid).filter((pid) => formatName(pid) === "slirp4netns");

  it("is reported, and has an interface, a route and a name server outside the loopback", async () => {
    const output = await getOutput("cat /proc/net/dev /etc/resolv.conf");

    expect(await fixture.observe()).toMatchObject({ isolation: "bubblewrap, own network" });
    expect(output).toContain("tap0:");
    expect(output).not.toMatch(/^nameserver 127\./m);
  });

  it("reaches other addresses of the machine, but not its loopback", async ({ skip }) => {
    if (outer === undefined) return skip("this machine has no address but the loopback's");
    const places = [`127.0.0.1:${port}`, `10.0.2.2:${port}`, `${outer}:${port}`].join(" ");

    const output = await getOutput(`${node("reach.cjs")} ${places}`);

    expect(output).toBe(`${outer}:${port}\n`);
    expect(await heard()).toEqual([outer]);
  });

  it("is shared by the machines of a job", async () => {
    writeFileSync(join(fixture.shown, "meet.cjs"), meeting);
    const shares = ["one", "two"].map((name) => ({ node: name, units: 8 }));

    await fixture.compute.apply(fixture.runOf({ command: node("meet.cjs"), shares }));

    expect(await fixture.ended()).toMatchObject({ exitCode: 0 });
    expect(await logText(fixture.compute.readLog(fixture.uid, 1))).toContain("met 1");
  });

  it("stays during a command's grace period, and ends with it", async () => {
    const command = "trap 'grep -c tap0 /proc/net/dev; exit 3' TERM; echo on; while :; do sleep 0.1; done";
    await fixture.compute.apply(fixture.runOf({ command }));
    await eventually(
      () => logText(fixture.compute.readLog(fixture.uid, 1)),
      (log) => log.includes("on"),
    );

    writeMark(fixture.directory, "until", Date.now());
    await fixture.ended();

    expect(await logText(fixture.compute.readLog(fixture.uid, 1))).toMatch(/^1$/m);
    await eventually(cables, (pids) => pids.length === 0);
  });

  it("ends with its sandbox, even after the supervisor was killed", async () => {
    await fixture.compute.apply(fixture.runOf());
    const before = cables();

    process.kill(fixture.supervisorPid(), "SIGKILL");

    expect(before).toHaveLength(1);
    await eventually(cables, (pids) => pids.length === 0);
  });

  it("is reconnected after slirp4netns was killed, with the same limits", async ({ skip }) => {
    if (outer === undefined) return skip("this machine has no address but the loopback's");
    const places = [`127.0.0.1:${port}`, `10.0.2.2:${port}`, `${outer}:${port}`].join(" ");
    await fixture.compute.apply(fixture.runOf());
    const [killed = 0] = cables();

    process.kill(killed, "SIGKILL");
    await eventually(cables, (pids) => pids.length === 1 && pids[0] !== killed);
    const again = await eventually(fixture.observe, (observed) => observed?.isolation === "bubblewrap, own network");
    const output = await getLaterOutput(`${node("reach.cjs")} ${places}; ip route`);

    expect(again?.state).toBe("ready");
    expect(output).toContain(`${outer}:${port}\n`);
    expect(await heard()).toEqual([outer]);
    expect(output).toMatch(/^unreachable 127\.0\.0\.0\/8/m);
  });

  it("is reported as cut off until it can be reconnected", async () => {
    await fixture.compute.apply(fixture.runOf());
    const inNetwork = (...words: readonly string[]) => {
      const pid = String(readProcesses(fixture.directory)?.machines[0]?.sandbox?.pid);
      const [file = "", ...args] = [...enteringNetwork(pid), "ip", ...words];
      execFileSync(file, args, { stdio: "pipe" });
    };
    inNetwork("link", "set", "tap0", "down");
    inNetwork("link", "set", "tap0", "name", "old0");
    inNetwork("tuntap", "add", "dev", "tap0", "mode", "tun");

    for (const pid of cables()) process.kill(pid, "SIGKILL");
    const cutOff = await eventually(fixture.observe, (observed) => observed?.isolation.includes("cut off") === true);
    inNetwork("tuntap", "del", "dev", "tap0", "mode", "tun");
    const again = await eventually(fixture.observe, (observed) => observed?.isolation.includes("cut off") === false);

    expect(cutOff).toMatchObject({ state: "ready", isolation: "bubblewrap, own network (cut off)" });
    expect(again).toMatchObject({ state: "ready", isolation: "bubblewrap, own network" });
    expect(cables()).toHaveLength(1);
  });

  it("reaches a link-local name server only at port 53, even after a reconnect", async () => {
    const server = "169.254.169.254";
    await fixture.compute.apply(fixture.runOf());
    const pid = String(readProcesses(fixture.directory)?.machines[0]?.sandbox?.pid);
    const [file = "", ...args] = [...enteringNetwork(pid), "ip", "-batch", "-"];
    for (let n = 0; n < 2; n += 1) execFileSync(file, args, { input: closedRoutes([server]), stdio: "pipe" });
    writeFileSync(join(fixture.shown, "ways.cjs"), findingWays);

    const ways = `${node("ways.cjs")} ${server}:53 ${server}:80 169.254.1.1:53 192.0.2.1:80`;
    const past = `curl -sm 2 -w '%{http_code}' --interface 'if!tap0' http://${server}/`;
    const output = await getLaterOutput(`${ways}; ${past}`);

    expect(output).toBe(`${server}:53 udp\n${server}:53 tcp\n192.0.2.1:80 udp\n192.0.2.1:80 tcp\n000`);
  });

  it("does not reach the addresses of cloud credentials", async () => {
    writeFileSync(join(fixture.shown, "ways.cjs"), findingWays);
    const names = [...metadataAddresses, "192.0.2.1"].map((address) => `${address}:80`);

    const output = await getOutput(`${node("ways.cjs")} ${names.join(" ")}`);

    expect(output).toBe("192.0.2.1:80 udp\n192.0.2.1:80 tcp\n");
  });

  it("is entered on demand by a temporary process, for many connections at once", async () => {
    writeFileSync(join(fixture.shown, "serve.cjs"), serving);
    const ports = [{ port: 8080, kind: "http" }] as const;
    await fixture.compute.apply(fixture.runOf({ command: node("serve.cjs"), ports }));
    const ready = await eventually(fixture.observe, (observed) => observed?.state === "ready");
    const before = connectors(fixture);

    const url = `http://${ready?.ports[0]?.address}/`;
    // Poll, because on a busy machine the process may be gone before the last answer arrives.
    let most = 0;
    const polling = setInterval(() => {
      most = Math.max(most, connectors(fixture).length);
    }, 50);
    const texts = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => (await fetch(url, { method: "POST", body: `${n}` })).text()),
    );

    expect(before).toEqual([]);
    expect(texts).toEqual(texts.map((_, n) => `${n}`));
    await eventually(
      () => most > 0 && connectors(fixture).length === 0,
      (isGone) => isGone,
    );
    clearInterval(polling);
    expect(most).toBe(1);
    const sandbox = readProcesses(fixture.directory)?.machines[0]?.sandbox;
    expect(sandbox && isAlive(sandbox)).toBe(true);
  });
});

function connectors(fixture: Fixture): number[] {
  return findPids(fixture, process.execPath).filter((pid) => formatCommand(pid).includes("connector.ts"));
}

function formatCommand(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}

function formatName(pid: number): string {
  return formatCommand(pid).split("\0")[0] ?? "";
}

function getPort(server: Server, host: string): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : 0);
    });
  });
}

describe("a network that cannot be connected", () => {
  const joining = (join: typeof joinToMachine) => joinPatiently("1", "berth", AbortSignal.timeout(PATIENCE_MS), join);

  it("is given up at once if a program is missing", async () => {
    let tries = 0;
    const joined = joining(async () => {
      tries += 1;
      await once(spawn("/nonexistent/slirp4netns"), "spawn");
      return { lost: Promise.resolve() };
    });

    await expect(joined).rejects.toThrow("ENOENT");
    expect(tries).toBe(1);
  });

  it("is tried again if the machine refuses", async () => {
    let tries = 0;
    await joining(async () => {
      tries += 1;
      if (tries < 3) throw Object.assign(new Error("spawn EAGAIN"), { code: "EAGAIN" });
      return { lost: Promise.resolve() };
    });

    expect(tries).toBe(3);
  });
});

const reaching = `
  const { connect } = require("node:net");
  for (const place of process.argv.slice(2)) {
    const [host, port] = place.split(":");
    const socket = connect({ host, port: Number(port) });
    socket.setTimeout(30_000, () => socket.destroy());
    socket.once("connect", () => { console.log(place); socket.destroy(); }).once("error", () => {});
  }
`;

/** Prints for which of its arguments (`<address>:<port>`) a route exists. */
const findingWays = `
  const { execFileSync } = require("node:child_process");
  for (const place of process.argv.slice(2)) {
    const [address, port] = place.split(":");
    for (const protocol of ["udp", "tcp"]) {
      const words = ["-MSocket", "-e", 'socket(S, PF_INET, ($ARGV[2] eq "tcp" ? SOCK_STREAM : SOCK_DGRAM) | 2048, 0) or die;'
        + 'connect(S, sockaddr_in($ARGV[1], inet_aton($ARGV[0]))) or $!{EINPROGRESS} or exit 1', address, port, protocol];
      try { execFileSync("perl", words); console.log(place + " " + protocol); } catch {}
    }
  }
`;

/** The first machine waits for the second one, at the address that both get. */
const meeting = `
  const { connect, createServer } = require("node:net");
  const { NODE_RANK, MASTER_ADDR, MASTER_PORT } = process.env;
  const place = { host: MASTER_ADDR, port: Number(MASTER_PORT) };
  const dial = () => connect(place).once("connect", function () { this.end(NODE_RANK); }).once("error", () => setTimeout(dial, 50));
  if (NODE_RANK === "1") dial();
  else createServer((socket) => socket.once("data", (rank) => { console.log("met " + rank); process.exit(0); })).listen(place);
`;

const serving = `
  require("node:http").createServer((request, response) => request.pipe(response)).listen(Number(process.env.PORT), "127.0.0.1");
`;
