import { spawn } from "node:child_process";
import { once } from "node:events";
import { isIPv4, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { metadataAddresses } from "#core/metadata-addresses.ts";
import { findText, hasCode } from "../files.ts";
import type { Network } from "../runs/records.ts";
import { systemPath } from "../sandbox/local-path.ts";
import { isAlive, type ProcessIdentity } from "../supervisor/process-identity.ts";

/** Marks slirp4netns instead of BERTH_RUN: it is killed with the run, but never asked to end before. */
export const networkVariable = "BERTH_NETWORK";

/**
 * Reach the machine's addresses except its loopback. slirp4netns must not forward DNS: that would expose every port of
 * the name server, which may be on the loopback.
 */
const slirpOptions = [
  "--configure",
  "--mtu=65520",
  "--disable-host-loopback",
  "--disable-dns",
  "--enable-sandbox",
  "--enable-seccomp",
  "--ready-fd=3",
  "--exit-fd=4",
];

/**
 * Returns lines for `ip -batch` that close the machine's loopback and the credential addresses of clouds. Routes also
 * bind sockets with SO_BINDTODEVICE, and slirp4netns would forward 127.0.0.0/8 to the machine's own loopback. Port 53
 * of a closed address stays open if it is a name server, such as 169.254.169.254 on Google Cloud or 168.63.129.16 on
 * Azure.
 */
export function closedRoutes(closedNameServers: readonly string[]): string {
  const networks = ["127.0.0.0/8", "169.254.0.0/16", ...metadataAddresses];
  const closed = networks.map((network) => `route replace unreachable ${network}`);
  const rules = closedNameServers.flatMap((server) =>
    ["udp", "tcp"].map((protocol) => `rule add to ${server} ipproto ${protocol} dport 53 table ${nameTable}`),
  );
  const way = `route replace default via ${gateway} dev tap0 table ${nameTable}`;
  const open = rules.length > 0 ? [`rule flush table ${nameTable}`, way, ...rules] : [];
  return [...closed, ...open].map((line) => `${line}\n`).join("");
}

/** Routing table for DNS. */
const nameTable = 53;
const gateway = "10.0.2.2";

/**
 * Connects a sandbox's network until this process or the run ends, or until `lost`. The sandbox must have started:
 * bubblewrap fails if another process brings up its loopback first.
 */
export async function joinToMachine(pid: string, name: string): Promise<{ readonly lost: Promise<void> }> {
  const env = { PATH: systemPath };
  const slirp = spawn("slirp4netns", [...slirpOptions, pid, "tap0"], {
    cwd: "/",
    env: { ...env, [networkVariable]: name },
    detached: true,
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
  });
  slirp.unref();
  const [ready, held] = (slirp.stdio as readonly unknown[]).slice(3) as [Socket, Socket];
  held.on("error", () => undefined).unref();
  const { promise: lost, resolve: lose } = Promise.withResolvers<void>();
  const over = () => {
    held.destroy();
    lose();
  };
  slirp.once("exit", over).once("error", over);
  const [isReady] = await Promise.all([firstByte(ready), once(slirp, "spawn")]);
  ready.destroy();
  const [file = "", ...args] = [...enteringNetwork(pid), "ip", "-batch", "-"];
  const route = spawn(file, args, { cwd: "/", env, stdio: ["pipe", "ignore", "ignore"] });
  route.stdin.on("error", () => undefined).end(closedRoutes(closedNameServers(resolverSettings() ?? "")));
  const [code] = await once(route, "exit");
  if (code === 0 && isReady) return { lost };
  held.destroy();
  throw new Error("The sandbox's network could not be connected to the machine's");
}

const joinPausesMs = [250, 500, 1_000, 2_000, 4_000, 8_000];

/** Retries, because another run may exhaust per-user resources. Throws at once if a program is missing. */
export async function joinPatiently(
  pid: string,
  name: string,
  signal: AbortSignal,
  join = joinToMachine,
): ReturnType<typeof joinToMachine> {
  for (const pauseMs of joinPausesMs) {
    try {
      return await join(pid, name);
    } catch (error) {
      if (hasCode(error, "ENOENT", "EACCES")) throw error;
      await sleep(pauseMs, undefined, { signal });
    }
  }
  return join(pid, name);
}

export function enteringNetwork(pid: string): string[] {
  return ["nsenter", "--target", pid, ...enteringUser(), "--net", "--"];
}

/** A plain user can enter a namespace only through the user namespace that owns it. */
export function enteringUser(): string[] {
  return process.getuid?.() === 0 ? [] : ["--user", "--preserve-credentials"];
}

export function describeIsolation(isolation: string, network: Network, isCutOff = false): string {
  return isolation === "none" ? isolation : `${isolation}, ${network} network${isCutOff ? " (cut off)" : ""}`;
}

function firstByte(stream: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    stream
      .once("data", () => resolve(true))
      .once("close", () => resolve(false))
      .once("error", () => resolve(false));
  });
}

interface JoinedNetwork {
  readonly sandbox: ProcessIdentity;
  readonly name: string;
  readonly signal: AbortSignal;
  readonly say: (isJoined: boolean) => void;
}

/** A connection that lasted this long was healthy, so the next retry is immediate. */
const healthyMs = 60_000;
const longestPauseMs = 60_000;

/** Reconnects a run's network, for example after slirp4netns was killed. Resolves when the run is over. */
export async function rejoinWhenLost(
  { sandbox, name, signal, say }: JoinedNetwork,
  joined: Promise<void>,
): Promise<void> {
  let lost = joined;
  let joinedAt = Number.NEGATIVE_INFINITY;
  let pauseMs = 0;
  const isOver = () => signal.aborted || !isAlive(sandbox);
  const next = async (): Promise<boolean> => {
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    pauseMs = Math.min(Math.max(1_000, 2 * pauseMs), longestPauseMs);
    return !isOver();
  };
  for (;;) {
    await lost;
    if (isOver()) return;
    say(false);
    if (performance.now() - joinedAt > healthyMs) pauseMs = 0;
    let again: Awaited<ReturnType<typeof joinToMachine>> | undefined;
    while (!again) {
      if (!(await next())) return;
      again = await joinToMachine(String(sandbox.pid), name).catch(() => undefined);
    }
    lost = again.lost;
    joinedAt = performance.now();
    say(true);
  }
}

/** The second file lists the upstream servers of systemd-resolved, when the first names only systemd-resolved. */
const places = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/**
 * Returns /etc/resolv.conf for a run's own network, which reaches IPv4 addresses outside the loopback. Undefined if
 * none of this machine's name servers is reachable.
 */
export function resolverSettings(
  texts: readonly string[] = places.map((path) => findText(path) ?? ""),
): string | undefined {
  const [ownSettings = ""] = texts;
  const found = texts.map(reachable).find((lines) => lines.length > 0);
  if (!found && listServers(ownSettings).length > 0) return undefined;
  const others = ownSettings.split("\n").filter((line) => /^(?:search|domain|options)\s/.test(line));
  return [...(found ?? []), ...others].map((line) => `${line}\n`).join("");
}

function reachable(text: string): string[] {
  const isReachable = (address: string) => isIPv4(address) && !/^(?:127|0)\./.test(address);
  return listServers(text)
    .filter(isReachable)
    .map((address) => `nameserver ${address}`);
}

/** Returns the name servers of /etc/resolv.conf at addresses that are otherwise closed to a run's own network. */
export function closedNameServers(settings: string): string[] {
  return listServers(settings).filter(
    (address) => address.startsWith("169.254.") || metadataAddresses.includes(address),
  );
}

function listServers(text: string): string[] {
  return [...text.matchAll(/^nameserver\s+(\S+)/gm)].map(([, address = ""]) => address);
}
