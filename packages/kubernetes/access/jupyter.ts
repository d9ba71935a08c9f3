import type { JupyterStatus, Observation } from "#core/ports/compute.ts";
import { annotation, readPorts } from "../names.ts";
import type { Job, KubeObject, Pod } from "../objects.ts";
import type { ServiceStatus, StatusOf } from "./supervisor-status.ts";
import { isSupervised, type WantedService } from "./tools.ts";

/** Where it listens in every container, unless its run says otherwise. */
const usualPort = 8888;
/** A run that cannot start it three times will not. */
const mostFailures = 3;
/** What a shell answers for a command that it cannot find (POSIX, Shell Command Language, 2.8.2). */
const notFound = 127;

/** The token goes in by the environment, where only this user sees it, and not as an argument, which everybody does. */
export function jupyterService(of: KubeObject, token: string): WantedService {
  const port = getPort(of);
  const words = ["jupyter", "lab", "--no-browser", "--ip=0.0.0.0", `--port=${port}`, "--ServerApp.port_retries=0"];
  // Most images work as root, and to another user it means nothing.
  return { words: [...words, "--allow-root"], env: { JUPYTER_TOKEN: token }, port };
}

function getPort(of: KubeObject): number {
  return readPorts(of).find(({ kind }) => kind === "jupyter")?.port ?? usualPort;
}

export function isJupyterWanted({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[annotation.jupyter] !== undefined;
}

/** Of a living run whose Job wants it: as its supervisor says. */
export async function observeJupyter(
  findStatus: StatusOf,
  job: Job,
  pod: Pod | undefined,
): Promise<Observation["jupyter"]> {
  if (!pod || !isSupervised(pod)) return failed("Jupyter is started on clusters with TOOLS_IMAGE alone");
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
