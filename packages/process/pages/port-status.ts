import { createConnection } from "node:net";
import type { JupyterStatus, PortStatus, RunPort } from "#core/ports/compute.ts";
import { listensInside } from "../network/listening.ts";
import { type LocalPort, readPorts } from "../network/local-ports.ts";

export interface RunAccess {
  readonly sshPort: number | null;
  readonly jupyter: JupyterStatus | null;
  /** Set if the sandbox has its own network. */
  readonly networkPid: number | null;
}

export function seePorts(directory: string, ports: readonly RunPort[], access: RunAccess): Promise<PortStatus[]> {
  const locals = readPorts(directory);
  return Promise.all(ports.map((port) => seePort(port, findLocal(locals, port.port), access)));
}

export function unansweredPorts(ports: readonly RunPort[]): PortStatus[] {
  return ports.map(({ port, kind }) => ({ port, kind, address: null, answers: false }));
}

export function findLocal(locals: readonly LocalPort[], port: number): LocalPort | undefined {
  return locals.find((local) => local.port === port);
}

async function seePort({ port, kind }: RunPort, local: LocalPort | undefined, access: RunAccess): Promise<PortStatus> {
  const { sshPort, jupyter, networkPid } = access;
  if (kind === "ssh")
    return { port, kind, address: sshPort === null ? null : getAddress(sshPort), answers: sshPort !== null };
  if (local) {
    // A forward accepts every connection, so look for a listener in the run's own network.
    const isInside = networkPid !== null && !local.hasPlaceholder;
    const answers = await (isInside ? listensInside(networkPid, local.local) : isListening(local.local));
    return {
      port,
      kind,
      address: getAddress(local.local),
      answers,
      ...(local.hasLogin && { hasLogin: true as const }),
    };
  }
  const origin = jupyter?.origin ?? null;
  return {
    port,
    kind,
    address: origin === null ? null : new URL(origin).host,
    answers: kind === "jupyter" && origin !== null,
  };
}

function getAddress(port: number): string {
  return `127.0.0.1:${port}`;
}

const patienceMs = 250;

/** On the loopback only a server with a full queue delays the result. */
function isListening(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection({ host: "127.0.0.1", port });
  const decide = (answers: boolean) => () => {
    socket.destroy();
    resolve(answers);
  };
  socket.setTimeout(patienceMs, decide(false)).once("connect", decide(true)).once("error", decide(false));
  return promise;
}
