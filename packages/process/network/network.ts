import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { metadataAddresses } from "#core/metadata-addresses.ts";
import type { Network } from "../runs/records.ts";
import { systemPath } from "../sandbox/environment.ts";
import { closedNameServers, resolverSettings } from "./name-servers.ts";

/** What of a run has it, and not BERTH_RUN, is its network: that is killed with it, and not asked to end before. */
export const networkVariable = "BERTH_NETWORK";

/**
 * The options join the network to the machine's addresses, but for its loopback. Names are asked from inside: passed on
 * by slirp4netns, every port of a name server would be reached and not its own alone, which may be on the loopback.
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
 * Returns lines for `ip -batch`, which closes the machine's loopback and the addresses at which clouds hand out
 * credentials. A socket that is bound to the interface (SO_BINDTODEVICE) uses these routes too, and slirp4netns would
 * pass packets for 127.0.0.0/8 on to the machine's own loopback. A closed address that is a name server as well, as
 * 169.254.169.254 on Google Cloud or 168.63.129.16 on Azure, stays one: its port 53 is open.
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

/** Of routes, for those who ask for names. */
const nameTable = 53;
/** What slirp4netns calls itself. */
const gateway = "10.0.2.2";

/**
 * Resolves once the network of this sandbox, by its first process, is joined to the machine's, which it stays while this
 * process lives and the run is not over, unless it is lost before; throws where that does not work. Only for a sandbox
 * that has begun: bubblewrap gives up when somebody else brings the loopback interface up before it does.
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
  throw new Error("The network of the sandbox could not be joined to the machine's");
}

const joinPausesMs = [250, 500, 1_000, 2_000, 4_000, 8_000];

/**
 * Joins the network of a new sandbox. Tries again where the machine refuses, as it does for a moment where another run of
 * the same user uses up what Linux counts for each user. Throws after the last try, when the run is to end, and at once
 * where a program is missing.
 */
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
      if (isMissing(error)) throw error;
      await sleep(pauseMs, undefined, { signal });
    }
  }
  return join(pid, name);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "EACCES");
}

/** The words that run something in the network of a sandbox whose first process this is, and nothing else of it. */
export function enteringNetwork(pid: string): string[] {
  return ["nsenter", "--target", pid, ...enteringUser(), "--net", "--"];
}

/** Nobody but root can enter another namespace than through the user namespace that it belongs to. */
export function enteringUser(): string[] {
  return process.getuid?.() === 0 ? [] : ["--user", "--preserve-credentials"];
}

/** How much an environment is kept apart, for people. */
export function describeIsolation(isolation: string, network: Network, isCutOff = false): string {
  return isolation === "none" ? isolation : `${isolation}, ${network} network${isCutOff ? " (cut off)" : ""}`;
}

/** False when there is none before the end. */
function firstByte(stream: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    stream
      .once("data", () => resolve(true))
      .once("close", () => resolve(false))
      .once("error", () => resolve(false));
  });
}
