import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { openNamespaces } from "./namespaces.ts";

const run = promisify(execFile);

/** A network that connects the nodes of one run with each other and with the control plane on this machine. */
export interface NodeNetwork {
  /** Interface of this machine that leads to the nodes. */
  readonly name: string;
  /** Address of this machine in the network. */
  readonly address: string;
  /** Address of the node with this number, from 1 on. */
  nodeAddress(number: number): string;
  /** Connects the network namespace of a process, and gives it routes to the pods of other nodes. */
  connect(pid: number, number: number): Promise<void>;
  remove(): Promise<void>;
}

interface Link {
  readonly name: string;
  /** Name of its run, which its alias holds. */
  readonly owner: string;
}

const MOST_NODES = 9;
const BRIDGE = "nodes";

/**
 * Creates a network with a free subnet of 10.199.0.0/16. Its bridge is in a namespace of its own: on the machine
 * itself, br_netfilter would apply the machine's FORWARD rules to packets between nodes, and Docker's rules drop them.
 */
export async function createNetwork(owner: string, pause: string): Promise<NodeNetwork> {
  const bridge = await openNamespaces(pause, ["--net"]);
  const inBridge = (...args: string[]) => ipInside(bridge.pid, ...args);
  try {
    const { name, subnet } = await addLink(bridge.pid);
    await ip("link", "set", name, "alias", owner, "up");
    await ip("addr", "add", `${subnet}.1/24`, "dev", name);
    await inBridge("link", "add", BRIDGE, "type", "bridge");
    await inBridge("link", "set", "machine", "master", BRIDGE, "up");
    await inBridge("link", "set", BRIDGE, "up");
    const nodeAddress = (number: number) => `${subnet}.${number + 1}`;
    return {
      name,
      address: `${subnet}.1`,
      nodeAddress,
      async connect(pid, number) {
        const outer = `node${number}`;
        const inside = (...args: string[]) => ipInside(pid, ...args);
        await inBridge("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", String(pid));
        await inBridge("link", "set", outer, "master", BRIDGE, "up");
        await inside("link", "set", "lo", "up");
        await inside("addr", "add", `${nodeAddress(number)}/24`, "dev", "eth0");
        await inside("link", "set", "eth0", "up");
        for (let other = 1; other <= MOST_NODES; other += 1)
          if (other !== number) await inside("route", "add", podSubnet(other), "via", nodeAddress(other));
      },
      async remove() {
        await removeLink(name);
        await bridge.stop();
      },
    };
  } catch (error) {
    await bridge.stop();
    throw error;
  }
}

/** Subnet of the pods of a node. Only the nodes of its run have routes to it, so it may be in use on the machine. */
export function podSubnet(number: number): string {
  return `10.244.${number}.0/24`;
}

/** Interfaces of this machine that may lead to nodes: those with an alias. */
export async function listLinks(): Promise<Link[]> {
  const { stdout } = await run("ip", ["-json", "link", "show", "type", "veth"]);
  const links = JSON.parse(stdout || "[]") as { ifname?: string; ifalias?: string }[];
  return links.flatMap(({ ifname, ifalias }) => (ifname && ifalias ? [{ name: ifname, owner: ifalias }] : []));
}

/** Removes an interface, unless the kernel was faster: it removes those whose other end is in an ended namespace. */
export async function removeLink(name: string): Promise<void> {
  await ip("link", "delete", name).catch((error: Error) => {
    if (!error.message.includes("Cannot find device")) throw error;
  });
}

/** Adds a link to the bridge, named by its subnet: of two runs that choose the same one at once, one gets it. */
async function addLink(bridge: number): Promise<{ name: string; subnet: string }> {
  const used = await listUsedSubnets();
  for (let offset = 0; offset < 256; offset += 1) {
    const third = (process.pid + offset) % 256;
    if (used.has(third)) continue;
    const name = `bnodes${third}`;
    const isAdded = await ip("link", "add", name, "type", "veth", "peer", "name", "machine", "netns", `${bridge}`).then(
      () => true,
      (error: Error) => {
        if (error.message.includes("File exists")) return false;
        throw error;
      },
    );
    if (isAdded) return { name, subnet: `10.199.${third}` };
  }
  throw new Error("This machine has routes for every subnet of 10.199.0.0/16, so its nodes get no addresses.");
}

/**
 * Returns the third parts of addresses of 10.199.0.0/16 for which this machine has a route, its own addresses included.
 * Routes for more than that, such as a default route or 10.0.0.0/8 of a VPN, stay valid beside a subnet of ours.
 */
async function listUsedSubnets(): Promise<Set<number>> {
  const { stdout } = await run("ip", ["-json", "-4", "route", "show", "table", "all"]);
  const routes = JSON.parse(stdout || "[]") as { dst: string }[];
  const used = new Set<number>();
  for (const { dst } of routes) {
    const [, third, prefix = "32"] = /^10\.199\.(\d+)\.\d+(?:\/(\d+))?$/.exec(dst) ?? [];
    if (third === undefined || Number(prefix) < 16) continue;
    const count = 2 ** Math.max(0, 24 - Number(prefix));
    for (let at = 0; at < count; at += 1) used.add(Number(third) + at);
  }
  return used;
}

async function ip(...args: string[]): Promise<void> {
  await run("ip", args);
}

async function ipInside(pid: number, ...args: string[]): Promise<void> {
  await run("nsenter", ["--target", String(pid), "--net", "ip", ...args]);
}
