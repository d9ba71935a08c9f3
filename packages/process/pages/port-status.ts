import { createConnection } from "node:net";
import type { JupyterStatus, PortStatus, RunPort } from "#core/ports/compute.ts";
import { listensInside } from "../network/listening.ts";
import { type LocalPort, readPorts } from "../network/local-ports.ts";

/** What is known of the access that a run does not serve by a port of its own. */
export interface RunAccess {
  /** Where this machine's SSH answers for all runs; null: nowhere. */
  readonly sshPort: number | null;
  readonly jupyter: JupyterStatus | null;
  /** First process of the run's sandbox, where that has a network of its own. */
  readonly networkPid: number | null;
}

/** Asks every port of a living run whether it answers. */
export function seePorts(directory: string, ports: readonly RunPort[], access: RunAccess): Promise<PortStatus[]> {
  const locals = readPorts(directory);
  return Promise.all(ports.map((port) => seePort(port, findLocal(locals, port.port), access)));
}

/** The ports of a run that is not there yet, or not any more. */
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
    // What passes connections on into the other network accepts each: only there it is seen who listens.
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

/** On the loopback address this is decided at once, but for a server whose queue is full. */
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
