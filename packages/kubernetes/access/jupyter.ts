import type { JupyterStatus, Observation } from "#core/ports/compute.ts";
import { annotation, readPorts } from "../names.ts";
import type { Job, KubeObject, Pod } from "../objects.ts";
import type { ReadStatus, ServiceStatus } from "./supervisor-status.ts";
import { isSupervised, toolsDirectory, type WantedService } from "./tools.ts";

const usualPort = 8888;
const mostFailures = 3;
/** Exit code of a shell for an unknown command (POSIX, Shell Command Language, 2.8.2). */
const notFound = 127;

/**
 * Returns the Jupyter service. The token is in the environment, because all users can read arguments. Jupyter also
 * writes it to its runtime directory, which would else be in the home, and so on the disk.
 */
export function jupyterService(of: KubeObject, token: string): WantedService {
  const port = getPort(of);
  const words = ["jupyter", "lab", "--no-browser", "--ip=0.0.0.0", `--port=${port}`, "--ServerApp.port_retries=0"];
  // Most images run as root. The flag has no effect for other users.
  const env = { JUPYTER_TOKEN: token, JUPYTER_RUNTIME_DIR: `${toolsDirectory}/jupyter` };
  return { words: [...words, "--allow-root"], env, port };
}

function getPort(of: KubeObject): number {
  return readPorts(of).find(({ kind }) => kind === "jupyter")?.port ?? usualPort;
}

export function isJupyterWanted({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[annotation.jupyter] !== undefined;
}

export async function observeJupyter(
  findStatus: ReadStatus,
  job: Job,
  pod: Pod | undefined,
): Promise<Observation["jupyter"]> {
  if (!pod || !isSupervised(pod)) return failed("Jupyter on a cluster needs TOOLS_IMAGE");
  const status = await findStatus(pod);
  const address = pod.status?.podIP;
  if (!status || address === undefined) return starting;
  const host = address.includes(":") ? `[${address}]` : address;
  return statusIn(status.jupyter, `http://${host}:${getPort(job)}`);
}

function statusIn(jupyter: ServiceStatus | undefined, origin: string): JupyterStatus {
  if (jupyter?.answers) return { state: "on", origin, reason: null };
  if (!jupyter || jupyter.failures === 0) return starting;
  if (jupyter.lastCode === notFound) return failed("Jupyter is not on the PATH of this environment");
  if (jupyter.failures < mostFailures) return starting;
  return failed(`Jupyter ended at once (exit code ${jupyter.lastCode})`);
}

const starting: JupyterStatus = { state: "starting", origin: null, reason: null };

function failed(reason: string): JupyterStatus {
  return { state: "failed", origin: null, reason };
}
