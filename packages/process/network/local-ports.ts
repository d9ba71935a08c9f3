import type { RunPort } from "#core/ports/compute.ts";
import type { LaunchPlan } from "../runs/plan.ts";
import { readWhole, writeWhole } from "../runs/run-directory.ts";
import { isOnPath } from "../sandbox/local-path.ts";
import { findFreePorts } from "./free-port.ts";

/** A port of a run and where that is on this machine: all runs share its addresses. */
export interface LocalPort extends RunPort {
  readonly local: number;
  /** Nothing of the run's own will serve it. */
  readonly hasPlaceholder: boolean;
  /** Whether its page asks for its own password. */
  readonly hasLogin?: boolean;
  /** Whether its placeholder answers chats alone and passes all other requests on to code-server. */
  readonly hasIde?: boolean;
}

const file = "ports.json";

/**
 * Finds a free port for each that a run serves itself, and writes them down. A run without a command serves nothing;
 * neither does a Jupyter that this machine has not got, whose own port is otherwise found when it is started.
 */
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

/** The ports that a run was given when it was started. */
export function readPorts(directory: string): readonly LocalPort[] {
  return JSON.parse(readWhole(directory, file) ?? "[]") as LocalPort[];
}

/** Returns the password of code-server where the image of a run would serve that at its first HTTP port. */
function idePassword({ command, env }: Pick<LaunchPlan, "command" | "env">): string | undefined {
  return command === null ? env.CODE_SERVER_PASSWORD || undefined : undefined;
}

/** Reports whether the image of a run would serve code-server: the run has a password for it, or the image is code-server. */
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

/** How a run is told where to listen: `PORT_8080` is the port to take for 8080, `PORT` that of its first HTTP port. */
export function portVariables(ports: readonly LocalPort[]): Record<string, string> {
  const first = ports.find(({ kind }) => kind === "http");
  const named = ports.map(({ port, local }) => [`PORT_${port}`, String(local)]);
  return { ...Object.fromEntries(named), ...(first ? { PORT: String(first.local) } : {}) };
}
