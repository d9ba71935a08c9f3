import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { listCgroups } from "./cgroups.ts";
import { removeLeftovers } from "./leftovers.ts";
import { kill, readReady, startStaged } from "./staged-machine-fixture.ts";
import { findTraces, nothing } from "./traces-fixture.ts";

const networkRun = new URL("./network-run-fixture.ts", import.meta.url);

interface NetworkRun {
  readonly run: string;
  readonly address: string;
}

/** Routes of this kind come from a VPN, or from other clusters. */
const withRoutes = (...routes: string[]) => {
  const link = ["ip link add vpn type veth peer name other", "ip link set other up", "ip link set vpn up"];
  return [...link, ...routes.map((route) => `ip route add ${route} dev vpn`)].join("\n");
};

/** Every subnet but the last. */
const halves = ["0.0/17", "128.0/18", "192.0/19", "224.0/20", "240.0/21", "248.0/22", "252.0/23", "254.0/25"];

it("a run takes the only subnet for which its machine has no route", async () => {
  const stage = withRoutes("10.0.0.0/8", "10.244.0.0/16", ...halves.map((half) => `10.199.${half}`));

  const child = startStaged(["--net"], stage, networkRun);
  const { run, address } = await readReady<NetworkRun>(child);
  await kill(child);
  await removeLeftovers();

  expect(address).toBe("10.199.255.1");
  expect(await findTraces(run, run)).toEqual(nothing);
});

it("a run on a machine with a route for every subnet ends with one sentence", async () => {
  const child = startStaged(["--net"], withRoutes("10.199.0.0/16"), networkRun);

  await expect(readReady(child)).rejects.toThrow(
    "Error: This machine has routes for every subnet of 10.199.0.0/16, so its nodes get no addresses.",
  );
});

it("a run adds one interface and no bridge, since a machine's firewall may filter what its bridges forward", async () => {
  const child = startStaged(["--net"], "", networkRun);
  const { run } = await readReady<NetworkRun>(child);

  const words = ["--target", String(child.pid), "--net", "ip", "-json", "-details", "link", "show"];
  const { stdout } = await promisify(execFile)("nsenter", words);
  await kill(child);
  await removeLeftovers();

  const links = JSON.parse(stdout) as { ifname: string; ifalias?: string; linkinfo?: { info_kind: string } }[];
  expect(links.filter(({ linkinfo }) => linkinfo?.info_kind === "bridge")).toEqual([]);
  expect(links.filter(({ ifalias }) => ifalias === run)).toHaveLength(1);
  expect(await findTraces(run, run)).toEqual(nothing);
});

it("a run in a container keeps its network while it lives, and loses it once the container is gone", async () => {
  const options = ["--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"];
  const child = startStaged(options, "", networkRun);
  const { run } = await readReady<NetworkRun>(child);

  const whileAlive = await removeLeftovers();
  const traces = await findTraces(run, run);
  await kill(child);

  expect(whileAlive).not.toContain(run);
  expect(traces).toMatchObject({ links: [{ owner: run }], cgroups: [run] });
  // The kernel kills the other processes of a container after the first one.
  const readTraces = async () => {
    await removeLeftovers();
    return findTraces(run, run);
  };
  await expect.poll(readTraces).toEqual(nothing);
});

it("a run behind a firewall that drops packets from its nodes ends with one sentence, and leaves nothing", async () => {
  // A rule for each name that the interface may have drops what comes in, as the rules of iptables do.
  const rules = "ip link set lo up\nfor at in $(seq 0 255); do ip rule add pref 1 iif bnodes$at blackhole; done";
  const localTableLast = "ip rule add pref 2 lookup local; ip rule del pref 0";

  const child = startStaged(
    ["--net"],
    `${rules}\n${localTableLast}`,
    new URL("./killed-run-fixture.ts", import.meta.url),
  );
  const run = `-${child.pid}-`;

  await expect(readReady(child)).rejects.toThrow(
    /Error: Packets from node one do not reach this machine: let its firewall accept what comes in from bnodes\d+\./,
  );
  expect((await listCgroups("berth-nodes-")).filter((name) => name.includes(run))).toEqual([]);
});
