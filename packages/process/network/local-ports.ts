import { createServer, type Server } from "node:net";
import type { RunPort } from "#core/ports/compute.ts";
import type { LaunchPlan } from "../runs/plan.ts";
import { readWhole, writeWhole } from "../runs/run-directory.ts";
import { isOnPath } from "../sandbox/local-path.ts";

export interface LocalPort extends RunPort {
  readonly local: number;
  /** A placeholder serves it, because the run has no program for it. */
  readonly hasPlaceholder: boolean;
  readonly hasLogin?: boolean;
  /** The placeholder answers only chats, and passes all other requests to code-server. */
  readonly hasIde?: boolean;
}

const file = "ports.json";

/** Finds free ports, except for a real Jupyter, whose port is found at each start. */
export async function openPorts(
  directory: string,
  plan: Pick<LaunchPlan, "ports" | "command" | "env" | "image" | "programs">,
): Promise<LocalPort[]> {
  const { ports, command, env, programs } = plan;
  const hasIde = servesIde(plan) && isOnPath("code-server", env.PATH ?? programs.path);
  const ide = hasIde ? ports.find(({ kind }) => kind === "http") : undefined;
  const lacksJupyter = () => !isOnPath("jupyter", env.PATH ?? programs.path);
  const served = ports.flatMap((port) => {
    if (port.kind === "ssh") return [];
    if (port.kind === "jupyter") return lacksJupyter() ? [{ ...port, hasPlaceholder: true }] : [];
    if (port === ide && idePassword(plan) !== undefined) return [{ ...port, hasPlaceholder: false, hasLogin: true }];
    if (port === ide) return [{ ...port, hasPlaceholder: true, hasIde: true }];
    return [{ ...port, hasPlaceholder: port.kind === "http" && command === null }];
  });
  const free = await findFreePorts(served.length);
  const opened = served.map((port, n) => ({ ...port, local: free[n] ?? 0 }));
  if (opened.length > 0) writeWhole(directory, file, JSON.stringify(opened));
  return opened;
}

export function readPorts(directory: string): readonly LocalPort[] {
  return JSON.parse(readWhole(directory, file) ?? "[]") as LocalPort[];
}

function idePassword({ command, env }: Pick<LaunchPlan, "command" | "env">): string | undefined {
  return command === null ? env.CODE_SERVER_PASSWORD || undefined : undefined;
}

/** Reports whether the image would serve code-server: by its name, or because the run has a password for it. */
export function servesIde(plan: Pick<LaunchPlan, "command" | "env" | "image">): boolean {
  const isIde = plan.command === null && /(^|\/)code-server([:@]|$)/.test(plan.image);
  return isIde || idePassword(plan) !== undefined;
}

/** Records that only a placeholder answers at a port from now on, because its program was given up. */
export function notePlaceholder(directory: string, { port }: LocalPort): void {
  const ports = readPorts(directory).map(({ hasLogin, hasIde, ...portStatus }) => {
    if (portStatus.port === port) return { ...portStatus, hasPlaceholder: true };
    return { ...portStatus, ...(hasLogin && { hasLogin }), ...(hasIde && { hasIde }) };
  });
  writeWhole(directory, file, JSON.stringify(ports));
}

/** Tells a run where to listen: `PORT_8080` replaces port 8080, and `PORT` its first HTTP port. */
export function portVariables(ports: readonly LocalPort[]): Record<string, string> {
  const first = ports.find(({ kind }) => kind === "http");
  const named = ports.map(({ port, local }) => [`PORT_${port}`, String(local)]);
  return { ...Object.fromEntries(named), ...(first ? { PORT: String(first.local) } : {}) };
}

export async function findFreePort(): Promise<number> {
  const [port = 0] = await findFreePorts(1);
  return port;
}

export async function findFreePorts(count: number): Promise<number[]> {
  const held = await Promise.all(Array.from({ length: count }, listen));
  const ports = held.map((server) => {
    const address = server.address();
    return typeof address === "object" && address ? address.port : 0;
  });
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listen(): Promise<Server> {
  const { promise, resolve, reject } = Promise.withResolvers<Server>();
  const server = createServer().once("error", reject);
  server.listen(0, "127.0.0.1", () => resolve(server));
  return promise;
}
