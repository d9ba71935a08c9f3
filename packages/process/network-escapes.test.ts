import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually, lacks, openTrial, type Trial } from "./trial.ts";

const escaped = "got out";

/**
 * What a command may try to reach the machine by. REACH connects to an address, with a port or as a socket's name; SEND
 * asks PORT at each address by UDP, past all routes but the interface's with TAP; PORT is open on the machine's 127.0.0.1 and ::1, as those of the stack and of its STS are, OTHER is another environment's
 * and NAME an abstract socket (unix(7)). Each line succeeds only if it gets what it should not.
 */
const attempts: Readonly<Record<string, string>> = {
  "reaches a port of the machine's 127.0.0.1": "$REACH 127.0.0.1 $PORT",
  "reaches a port of the machine's ::1": "$REACH ::1 $PORT",
  "reaches another address of the machine's loopback": "$REACH 127.1.2.3 $PORT",
  "reaches it by the address of all": "$REACH 0.0.0.0 $PORT",
  "reaches it by what stands for the machine": "$REACH 10.0.2.2 $PORT",
  "reaches it by what stands for its name server": "$REACH 10.0.2.3 $PORT",
  "reaches it by an IPv4 address written as IPv6": "$REACH ::ffff:127.0.0.1 $PORT",
  "reaches it past its own loopback": "curl -m 1 --interface 'if!tap0' http://127.0.0.1:$PORT/",
  "reaches it past its own loopback by another address": "curl -m 1 --interface 'if!tap0' http://127.1.2.3:$PORT/",
  "reaches it past its own loopback by IPv6": "curl -g -m 1 --interface 'if!tap0' http://[::1]:$PORT/",
  "has a way to where a cloud machine hands out credentials": "ip route get 169.254.169.254",
  "reaches that past its routes": "curl -m 1 --interface 'if!tap0' http://169.254.169.254/",
  "reaches a port of the machine's loopback by UDP": "$SEND 127.0.0.1 10.0.2.2 10.0.2.3 0.0.0.0",
  "reaches it by UDP past its own loopback": "TAP=1 $SEND 127.0.0.1 10.0.2.2 10.0.2.3 0.0.0.0",
  "reaches another environment's port": "$REACH 127.0.0.1 $OTHER || $REACH 10.0.2.2 $OTHER",
  "reaches an abstract socket of the machine": "$REACH $NAME",
  "opens a raw socket": "perl -e 'socket(S, 2, 3, 1) or exit 1'",
  "opens a packet socket": "perl -e 'socket(S, 17, 3, 768) or exit 1'",
  "opens a raw socket as root of a user namespace of its own": "unshare -Ur perl -e 'socket(S, 2, 3, 1) or exit 1'",
  "takes down the interface": "ip link set tap0 down",
  "takes the way to its loopback": "ip route del unreachable 127.0.0.0/8",
  "gives itself a way to the machine's loopback": "ip route replace 127.0.0.0/8 via 10.0.2.2",
  "changes how its network works": "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet",
  "makes an interface": "test -e /dev/net/tun || ip tuntap add mode tap",
  "enters the machine's network by its first process": "nsenter -t 1 -n true",
};

const lacking = lacks("own");

describe("a command in a network of its own", () => {
  if (lacking) {
    it("needs slirp4netns", ({ skip }) => skip(lacking));
    return;
  }

  let trial: Trial;
  let told: Map<string, string>;
  const servers: Server[] = [];
  const datagrams = createSocket("udp4");
  /** Whoever came to the machine's listeners. */
  const came: string[] = [];

  const listen = async (options: { readonly path: string } | { readonly host: string; readonly port: number }) => {
    const server = createServer((socket) => {
      came.push(`${socket.localAddress ?? "a socket"}:${socket.localPort ?? ""}`);
      socket.on("error", () => undefined).end("hello");
    });
    servers.push(server);
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(options, resolve));
    const address = server.address();
    return typeof address === "object" && address ? address.port : 0;
  };

  beforeAll(async () => {
    trial = openTrial({ isolation: "bubblewrap" });
    const port = await listen({ host: "127.0.0.1", port: 0 });
    for (const host of ["::1", "127.1.2.3"]) await listen({ host, port });
    datagrams.on("message", (text, { address, port: from }) => {
      came.push(`udp ${String(text)}`);
      datagrams.send("hello", from, address);
    });
    await once(datagrams.bind(port, "127.0.0.1"), "listening");
    const name = `berth-${trial.uid}`;
    await listen({ path: `\0${name}` });
    writeFileSync(join(trial.shown, "reach.cjs"), reaching);
    writeFileSync(join(trial.shown, "send.pl"), sending);
    await trial.compute.apply(trial.runOf({ run: 2, command: undefined, ports: [{ port: 8080, kind: "http" }] }));
    const other = await eventually(
      () => trial.compute.observe(trial.uid, 2),
      (seen) => seen?.state === "ready",
    );
    const [, otherPort = ""] = other?.ports[0]?.address?.split(":") ?? [];
    const lines = Object.entries(attempts).map(
      ([what, attempt]) => `echo "### ${what}"; (${attempt}) 2>&1 </dev/null && echo "${escaped}"`,
    );
    const env = {
      REACH: `${join(trial.home, "tools/node")} ${join(trial.shown, "reach.cjs")}`,
      SEND: `perl ${join(trial.shown, "send.pl")}`,
      ...{ PORT: String(port), OTHER: otherPort, NAME: name },
    };
    await trial.compute.apply(trial.runOf({ env, command: `${lines.join("\n")}\necho "### end"` }));
    await trial.ended();
    const [, ...parts] = (await trial.compute.readLog(trial.uid, 1)).split("### ");
    told = new Map(parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1)]));
  });

  afterAll(async () => {
    for (const server of servers) server.close();
    datagrams.close();
    await trial.close();
  });

  it.each(Object.keys(attempts))("gets nothing when it %s", (name) => {
    expect(told.has("end")).toBe(true);
    expect(told.get(name)).toBeDefined();
    expect(told.get(name)).not.toContain(escaped);
  });

  it("lets nobody come to the machine's own listeners, heard or not", () => {
    expect(came).toEqual([]);
  });
});

/** Ends with 0 if it could connect, and prints why it could not. */
const reaching = `
  const [host, port] = process.argv.slice(2);
  const place = port === undefined ? { path: "\\0" + host } : { host, port: Number(port) };
  const socket = require("node:net").connect(place);
  socket.setTimeout(1000, () => { console.log("timeout"); process.exit(1); });
  socket.once("connect", () => process.exit(0)).once("error", (error) => { console.log(error.code); process.exit(1); });
`;

/** Ends with 0 if one of the addresses answered. */
const sending = `
  use Socket;
  socket(S, PF_INET, SOCK_DGRAM, 0) or die;
  setsockopt(S, SOL_SOCKET, 25, "tap0") or die "SO_BINDTODEVICE: $!" if $ENV{TAP};
  for (@ARGV) { print "$_: $!\\n" unless send(S, $_, 0, sockaddr_in($ENV{PORT}, inet_aton($_))) }
  vec($bits, fileno(S), 1) = 1;
  exit(select($bits, undef, undef, 0.5) > 0 && defined recv(S, $_, 9, 0) ? 0 : 1);
`;
