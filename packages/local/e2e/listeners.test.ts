import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findFreePorts } from "#process/free-port.ts";
import { canListProcesses } from "./processes.ts";
import { openStackTrial, type StackTrial } from "./stack-trial.ts";

let trial: StackTrial;

beforeEach(() => {
  trial = openStackTrial("berth-listeners-");
});

afterEach(() => trial.close());

describe("the local stack", () => {
  it.for([true, false])("listens for its API, STS and SSH alone, with metrics: %s", async (hasMetrics, { skip }) => {
    if (!canListProcesses) skip("this machine has no /proc to look for listeners in");
    const [sshPort = 0, metricsPort = 0] = await findFreePorts(2);
    const settings = hasMetrics ? { METRICS_PORT: String(metricsPort) } : {};

    const stack = await trial.start({ SSH_PORT: String(sshPort), ...settings });

    const { stsUrl } = JSON.parse(readFileSync(join(trial.home, "stack.json"), "utf8")) as { stsUrl: string };
    const ports = [stack.url, stsUrl].map((url) => Number(new URL(url).port));
    const expected = [...ports, sshPort, ...(hasMetrics ? [metricsPort] : [])].map((port) => `tcp 0100007F:${port}`);
    const found = trial.processes().flatMap(({ pid }) => listenersOf(pid));
    expect(found.sort()).toEqual(expected.sort());
  });
});

/** The state LISTEN of a line of /proc/net/tcp; of UDP every socket hears (proc_pid_net(5)). */
const listening = { tcp: "0A", tcp6: "0A", udp: "07", udp6: "07" } as const;

/** Like `tcp 0100007F:8080`: 127.0.0.1, as the kernel writes it on a little-endian machine. */
function listenersOf(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  const inodes = readdirSync(directory).flatMap(
    (fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`${directory}/${fd}`))?.[1] ?? [],
  );
  return Object.entries(listening).flatMap(([protocol, wanted]) => {
    const [, ...lines] = readFileSync(`/proc/${pid}/net/${protocol}`, "utf8").trim().split("\n");
    return lines.flatMap((line) => {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      const [address, port = ""] = local.split(":");
      return state === wanted && inodes.includes(inode) ? [`${protocol} ${address}:${Number.parseInt(port, 16)}`] : [];
    });
  });
}

/** A descriptor may be closed while it is looked at. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
