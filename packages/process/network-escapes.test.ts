import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Attempt,
  type Attempts,
  formatScript,
  type Got,
  gotBy,
  inside,
  outside,
  printGot,
  TOO_SLOW,
} from "./attempts-fixture.ts";
import { eventually, type Fixture, lacks, openFixture } from "./fixture.ts";
import { systemPath } from "./sandbox/local-path.ts";

const outer = Object.values(networkInterfaces())
  .flat()
  .find((place) => place?.family === "IPv4" && !place.internal)?.address;
const opensRaw = "perl -e 'socket(S, 2, 3, 1) or exit 1'";
const opensPacket = "perl -e 'socket(S, 17, 3, 768) or exit 1'";

/**
 * Attempts to reach the machine. REACH connects to an address with a port or to a socket's name. SEND queries PORT at
 * each address by UDP, past all routes but the interface's with TAP. PORT is open on the machine's 127.0.0.1 and ::1,
 * like the stack's and its STS's ports. OTHER is another environment's port and NAME an abstract socket (unix(7)). The
 * controls reach OWN, which the command has opened under the same kinds of address, and OUTER, an allowed address of
 * this machine.
 */
const attempts: Attempts = {
  "reaches a port of the machine's 127.0.0.1": reaches("127.0.0.1"),
  "reaches a port of the machine's ::1": reaches("::1"),
  "reaches another address of the machine's loopback": reaches("127.1.2.3"),
  "reaches it by the address of all": reaches("0.0.0.0"),
  "reaches it by what stands for the machine": reaches("10.0.2.2", "127.0.0.1"),
  // The machine's name server may drop the packets. The listener would also see a connection that got through late.
  "reaches it by what stands for its name server": inside("PATIENCE=2 $REACH 10.0.2.3 $PORT", "$REACH 127.0.0.1 $OWN"),
  "reaches it by an IPv4 address written as IPv6": reaches("::ffff:127.0.0.1"),
  "reaches it past its own loopback": pastLoopback("127.0.0.1:$PORT"),
  "reaches it past its own loopback by another address": pastLoopback("127.1.2.3:$PORT"),
  "reaches it past its own loopback by IPv6": pastLoopback("[::1]:$PORT"),
  "has a way to where a cloud machine hands out credentials": inside(
    "ip route get 169.254.169.254",
    "ip route get 10.0.2.2",
  ),
  "reaches a port of the machine's loopback by UDP": inside(
    "$SEND 127.0.0.1 10.0.2.2 10.0.2.3 0.0.0.0",
    "PORT=$OWN PATIENCE=30 $SEND 127.0.0.1",
  ),
  "reaches it by UDP past its own loopback": inside(
    "TAP=1 $SEND 127.0.0.1 10.0.2.2 10.0.2.3 0.0.0.0",
    "TAP=1 PATIENCE=30 $SEND $OUTER",
  ),
  "reaches another environment's port": inside(
    "$REACH 127.0.0.1 $OTHER || $REACH 10.0.2.2 $OTHER",
    "$REACH 127.0.0.1 $OWN",
  ),
  "reaches the same port, which is open": outside("$REACH 127.0.0.1 $OTHER"),
  "reaches an abstract socket of the machine": inside("$REACH $NAME", "$REACH own"),
  "opens a raw socket": outside(opensRaw, `unshare -Urn ${opensRaw}`),
  "opens a packet socket": outside(opensPacket, `unshare -Urn ${opensPacket}`),
  "opens a raw socket as root of a user namespace of its own": outside(
    `unshare -Ur ${opensRaw}`,
    `unshare -Urn ${opensRaw}`,
  ),
  "takes down the interface": outside("ip link set tap0 down", "unshare -Urn ip link set lo down"),
  "takes the way to its loopback": outside("ip route del unreachable 127.0.0.0/8", changesRoute("del")),
  "gives itself a way to the machine's loopback": outside(
    "ip route replace 127.0.0.0/8 via 10.0.2.2",
    changesRoute("replace"),
  ),
  "changes how its network works": outside(
    "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet",
    "unshare -Urn sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet'",
  ),
  "makes an interface": outside(
    "test -e /dev/net/tun || ip tuntap add mode tap",
    "unshare -Urn ip tuntap add mode tap",
  ),
  "enters the machine's network by its first process": outside(
    "nsenter -t 1 -n true",
    "unshare -Urnpf --mount-proc nsenter -t 1 -n true",
  ),
};

const lacking = lacks("own") ?? (outer ? undefined : "this machine has no address but the loopback's");

describe("a command in its own network", { retry: 0 }, () => {
  if (lacking) {
    it("needs slirp4netns and a reachable address", ({ skip }) => skip(lacking));
    return;
  }

  let fixture: Fixture;
  let got: Map<string, Got>;
  const servers: Server[] = [];
  const datagrams = ["127.0.0.1", outer].map((address) => ({ address, socket: createSocket("udp4") }));
  const came: string[] = [];
  let reachOutside: (line: string) => Promise<void>;

  const listen = async (
    options: { readonly path: string } | { readonly host: string | undefined; readonly port: number },
    note = (who: string) => void came.push(who),
  ) => {
    const server = createServer((socket) => {
      note(`${socket.localAddress ?? "a socket"}:${socket.localPort ?? ""}`);
      socket.on("error", () => undefined).end("hello");
    });
    servers.push(server);
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(options, resolve));
    const address = server.address();
    return typeof address === "object" && address ? address.port : 0;
  };

  beforeAll(async () => {
    fixture = openFixture({ isolation: "bubblewrap" });
    const port = await listen({ host: "127.0.0.1", port: 0 });
    for (const host of ["::1", "127.1.2.3"]) await listen({ host, port });
    await listen({ host: outer, port }, () => undefined);
    for (const { address, socket } of datagrams) {
      socket.on("message", (text, { address: to, port: from }) => {
        if (address !== outer) came.push(`udp ${String(text)}`);
        socket.send("hello", from, to);
      });
      await once(socket.bind(port, address), "listening");
    }
    const name = `berth-${fixture.uid}`;
    await listen({ path: `\0${name}` });
    writeFileSync(join(fixture.shown, "reach.cjs"), reaching);
    writeFileSync(join(fixture.shown, "send.pl"), sending);
    writeFileSync(join(fixture.shown, "own.cjs"), listeningInside);
    await fixture.compute.apply(fixture.runOf({ run: 2, command: undefined, ports: [{ port: 8080, kind: "http" }] }));
    const otherObservation = await eventually(
      () => fixture.compute.observe(fixture.uid, 2),
      (seen) => seen?.state === "ready",
    );
    const [, otherPort = ""] = otherObservation?.ports[0]?.address?.split(":") ?? [];
    const node = join(fixture.home, "tools/node");
    const env = {
      REACH: `${node} ${join(fixture.shown, "reach.cjs")}`,
      SEND: `perl ${join(fixture.shown, "send.pl")}`,
      PORT: String(port),
      OTHER: otherPort,
      NAME: name,
      OUTER: outer ?? "",
    };
    const ownName = `${node} ${join(fixture.shown, "own.cjs")} >port & until [ -s port ]; do sleep 0.1; done; OWN=$(cat port)`;
    await fixture.compute.apply(fixture.runOf({ env, command: `${ownName}\n${formatScript(attempts)}\nkill $!` }));
    const seen = await fixture.seenScript();
    const envOutside = { ...env, REACH: `${process.execPath} ${join(fixture.shown, "reach.cjs")}` };
    got = gotBy(seen, attempts, envOutside);
    reachOutside = async (line) =>
      void (await promisify(execFile)("/bin/sh", ["-c", line], { env: { PATH: systemPath, ...envOutside } }));
  });

  afterAll(async () => {
    for (const server of servers) server.close();
    for (const { socket } of datagrams) socket.close();
    printGot("A command in a network of its own", got);
    await fixture.close();
  });

  it.each(Object.keys(attempts))("gets nothing when it %s", (name) => {
    expect(got.get(name)).toMatchObject({ unmade: undefined, isHeld: true });
  });

  it("does not reach the machine's own listeners, which do see other visitors", async () => {
    expect(came).toEqual([]);

    const hosts = ["127.0.0.1", "::1", "127.1.2.3"];
    for (const host of hosts) await reachOutside(`$REACH ${host} $PORT`);
    for (const line of ["$REACH $NAME", "PATIENCE=30 $SEND 127.0.0.1"]) await reachOutside(line);
    await eventually(
      () => came.length,
      (count) => count === hosts.length + 2,
    );
  });
});

function reaches(host: string, ownHost = host): Attempt {
  return inside(`$REACH ${host} $PORT`, `$REACH ${ownHost} $OWN`);
}

/**
 * Uses only the interface. The listener speaks no HTTP, so curl must accept any answer. A blocked attempt times out;
 * the listener would also see one that got through late.
 */
function pastLoopback(place: string): Attempt {
  const ask = (seconds: number) => `curl -sS -g -m ${seconds} --http0.9 --interface 'if!tap0'`;
  return inside(`${ask(1)} http://${place}/`, `${ask(30)} http://$OUTER:$PORT/`);
}

function changesRoute(verb: "del" | "replace"): string {
  const route = verb === "del" ? "unreachable 127.0.0.0/8" : "127.0.0.0/8 dev lo";
  return `unshare -Urn sh -c 'ip link set lo up && ip route add unreachable 127.0.0.0/8 && ip route ${verb} ${route}'`;
}

/** Opens listeners of every kind that the machine has, and prints the port. */
const listeningInside = `
  const udp = require("node:dgram").createSocket("udp4");
  udp.on("message", (_, { port, address }) => udp.send("hello", port, address));
  const hello = (socket) => socket.on("error", () => {}).end("hello");
  // The kernel knows no ports of other networks, and one of these would seem to be reached.
  const taken = [process.env.PORT, process.env.OTHER].map(Number);
  const open = () => {
    const server = require("node:net").createServer(hello).listen(0, "::", () => {
      const { port } = server.address();
      if (taken.includes(port)) return open();
      udp.bind(port, "127.0.0.1", () => console.log(port));
    });
  };
  require("node:net").createServer(hello).listen({ path: "\\0own" }, open);
`;

/** Exits with 0 after a connection, else prints the error. Each way of being kept out is an answer, so it has time. */
const reaching = `
  const [host, port] = process.argv.slice(2);
  const place = port === undefined ? { path: "\\0" + host } : { host, port: Number(port) };
  const socket = require("node:net").connect(place);
  const patience = Number(process.env.PATIENCE ?? 0);
  socket.setTimeout((patience || 15) * 1000, () => process.exit(patience ? 1 : ${TOO_SLOW}));
  socket.once("connect", () => process.exit(0)).once("error", (error) => { console.log(error.code); process.exit(1); });
`;

/** Exits with 0 if an address answered, within PATIENCE seconds if an answer is expected. */
const sending = `
  use Socket;
  socket(S, PF_INET, SOCK_DGRAM, 0) or die;
  setsockopt(S, SOL_SOCKET, 25, "tap0") or die "SO_BINDTODEVICE: $!" if $ENV{TAP};
  for (@ARGV) { print "$_: $!\\n" unless send(S, $_, 0, sockaddr_in($ENV{PORT}, inet_aton($_))) }
  vec($bits, fileno(S), 1) = 1;
  exit(select($bits, undef, undef, $ENV{PATIENCE} || 0.5) > 0 && defined recv(S, $_, 9, 0) ? 0 : 1);
`;
