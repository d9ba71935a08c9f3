import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { nodeOptions } from "../../scripts/images/gateway-files.ts";
import { followGatewayLog, type GatewayLog } from "./gateway-log.ts";

const program = fileURLToPath(new URL("../../packages/gateway-server/main.ts", import.meta.url));

/** The program of the gateway, as a process. */
export interface GatewayProcess extends GatewayLog {
  readonly child: ChildProcess;
  readonly sshPort: number;
  readonly webPort: number;
  /** Its exit code, once it has ended. */
  readonly ended: Promise<number | null>;
  /** Kills it if it still runs. */
  stop(): Promise<void>;
}

/** Starts the program with free ports, and waits until it serves. */
export async function startGatewayProcess(settings: Readonly<Record<string, string>>): Promise<GatewayProcess> {
  const child = spawn(process.execPath, [...nodeOptions, program], {
    env: { PATH: process.env.PATH, PORT: "0", SSH_PORT: "0", ...settings },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit").then(([code]) => code as number | null);
  const log = followGatewayLog(child.stdout);
  const { sshPort, webPort } = await log.logged("gateway started");
  return {
    ...log,
    child,
    sshPort: Number(sshPort),
    webPort: Number(webPort),
    ended,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await ended;
    },
  };
}
