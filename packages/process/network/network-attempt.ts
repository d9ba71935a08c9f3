import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { enterCommand } from "../runs/inside.ts";
import { systemPath } from "../sandbox/local-path.ts";
import { sandboxOptions } from "../sandbox/sandbox.ts";
import { giveUpRights } from "../sandbox/sandbox-user.ts";
import { joinToMachine } from "./network.ts";

/** Program that tests a sandbox's own network: it needs the interface, and must not reach this machine's loopback. */
async function main(): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), "berth-network-"));
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  try {
    await once(server, "listening");
    process.exitCode = await attempt(join(place, "home"), (server.address() as AddressInfo).port);
  } finally {
    server.close();
    rmSync(place, { recursive: true, force: true });
  }
}

async function attempt(home: string, port: number): Promise<number> {
  const shown = {
    home,
    work: undefined,
    start: undefined,
    binds: [],
    programs: [],
    memoryMb: null,
    network: "own" as const,
  };
  const options = sandboxOptions({ ...shown, env: { PATH: systemPath } });
  const first = [...options, "--info-fd", "3", "--unshare-net", "--", ...giveUpRights()];
  const sandbox = start(["bwrap", ...first, "/bin/sh", "-c", "echo; read _"], ["pipe", "pipe", "ignore", "pipe"]);
  try {
    const [, begun, , info] = sandbox.stdio as readonly unknown[] as readonly Readable[];
    if (!begun || !info) return 1;
    const [parts] = await Promise.all([info.toArray(), once(begun, "data")]);
    const [, pid = ""] = /"child-pid"\s*:\s*(\d+)/.exec(parts.join("")) ?? [];
    await joinToMachine(pid, "probe");
    const observerCommand = [
      ...enterCommand(pid, "own"),
      ...giveUpRights(),
      join(home, "tools/node"),
      "-e",
      observerScript,
    ];
    const [code] = await once(start([...observerCommand, String(port)], "ignore"), "exit");
    return code as number;
  } finally {
    sandbox.kill("SIGKILL");
  }
}

const observerScript = `
  const { connect } = require("node:net");
  const reach = (host) => new Promise((resolve) => {
    const socket = connect({ host, port: Number(process.argv[1]) });
    socket.setTimeout(2000, () => resolve(false)).once("connect", () => resolve(true)).once("error", () => resolve(false));
  });
  Promise.all(["127.0.0.1", "10.0.2.2"].map(reach)).then((reached) => {
    process.exit("tap0" in require("node:os").networkInterfaces() && !reached.includes(true) ? 0 : 1);
  });
`;

function start([file = "", ...args]: readonly string[], stdio: "ignore" | ("pipe" | "ignore")[]): ChildProcess {
  return spawn(file, args, { cwd: "/", env: { PATH: systemPath }, stdio }).on("error", () => process.exit(1));
}

await main();
