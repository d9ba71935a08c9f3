import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Longest wait for a node's network, which learns of a new port within a second. Clients may have another route. */
const answersWithinMs = 5_000;
const attemptMs = 1_000;
const pauseMs = 100;

/** Returns when an SSH server answers there, or after 5 seconds: this machine may have no route to the node. */
export async function awaitSshServer(host: string, port: number): Promise<void> {
  const end = AbortSignal.timeout(answersWithinMs);
  while (!end.aborted && !(await answersAsSsh(host, port, AbortSignal.any([end, AbortSignal.timeout(attemptMs)]))))
    await sleep(pauseMs);
}

/** Reports whether a server sends the beginning of SSH (RFC 4253, 4.2). */
async function answersAsSsh(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  const socket = connect({ host, port });
  try {
    const [first] = await once(socket, "data", { signal });
    return String(first).startsWith("SSH-");
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
