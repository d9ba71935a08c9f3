import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A bridge of this machine that connects the nodes of one run with each other and with the control plane. */
export interface NodeNetwork {
  /** Address of this machine on the bridge. */
  readonly address: string;
  /** Address of the node with this number, from 1 on. */
  nodeAddress(number: number): string;
  /** Connects the network namespace of a process to the bridge, and gives it routes to the pods of other nodes. */
  connect(pid: number, number: number): Promise<void>;
  remove(): Promise<void>;
}

interface Bridge {
  readonly name: string;
  /** Name of its run, which its alias holds. */
  readonly owner: string;
}

const MOST_NODES = 9;

/** Creates a bridge with a free subnet of 10.199.0.0/16. */
export async function createNetwork(owner: string): Promise<NodeNetwork> {
  const { subnet, name } = await findFree();
  const nodeAddress = (number: number) => `${subnet}.${number + 1}`;
  const address = `${subnet}.1`;
  await ip("link", "add", name, "type", "bridge");
  try {
    await ip("link", "set", name, "alias", owner, "up");
    await ip("addr", "add", `${address}/24`, "dev", name);
  } catch (error) {
    await removeBridge(name);
    throw error;
  }
  return {
    address,
    nodeAddress,
    async connect(pid, number) {
      const outer = `${name}n${number}`;
      await ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", String(pid));
      await ip("link", "set", outer, "master", name, "up");
      const inside = (...args: string[]) => run("nsenter", ["--target", String(pid), "--net", "ip", ...args]);
      await inside("link", "set", "lo", "up");
      await inside("addr", "add", `${nodeAddress(number)}/24`, "dev", "eth0");
      await inside("link", "set", "eth0", "up");
      for (let other = 1; other <= MOST_NODES; other += 1)
        if (other !== number) await inside("route", "add", podSubnet(other), "via", nodeAddress(other));
    },
    remove: () => removeBridge(name),
  };
}

/** Subnet of the pods of a node. Only the nodes of its run know it. */
export function podSubnet(number: number): string {
  return `10.244.${number}.0/24`;
}

/** Bridges of this machine with an alias. */
export async function listBridges(): Promise<Bridge[]> {
  const { stdout } = await run("ip", ["-json", "link", "show", "type", "bridge"]);
  const links = JSON.parse(stdout || "[]") as { ifname?: string; ifalias?: string }[];
  return links.flatMap(({ ifname, ifalias }) => (ifname && ifalias ? [{ name: ifname, owner: ifalias }] : []));
}

/** Removes a bridge. The cables to its nodes go with their network namespaces. */
export async function removeBridge(name: string): Promise<void> {
  await ip("link", "delete", name);
}

/** Begins with a number of this process, so that two runs that start at once choose different subnets. */
async function findFree(): Promise<{ subnet: string; name: string }> {
  const { stdout } = await run("ip", ["-json", "-4", "addr", "show"]);
  const used = new Set(stdout.match(/10\.199\.\d+(?=\.)/g));
  for (let offset = 0; offset < 256; offset += 1) {
    const third = (process.pid + offset) % 256;
    if (!used.has(`10.199.${third}`)) return { subnet: `10.199.${third}`, name: `bnodes${third}` };
  }
  throw new Error("Every subnet of 10.199.0.0/16 is in use");
}

async function ip(...args: string[]): Promise<void> {
  await run("ip", args);
}
