import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { RunningContainer } from "../container/container.ts";
import type { Guard } from "../container/container-process.ts";
import { acceptExec } from "./exec-server.ts";
import { podFolder } from "./pod.ts";
import type { PodRun } from "./pod-run.ts";
import { containerId } from "./pod-status.ts";
import { acceptPortForward } from "./port-forward-server.ts";

export interface KubeletServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Finds a pod; `lost` if its node does not answer. */
type FindPod = (namespace: string, name: string) => PodRun | "lost" | undefined;

/** Serves an API server's requests to kubelets over https on 127.0.0.1: logs, exec, port-forward. */
export async function startKubeletServer(
  serving: { readonly cert: string; readonly key: string },
  { home, guard }: { readonly home: string; readonly guard: Guard },
  find: FindPod,
): Promise<KubeletServer> {
  const open = new Set<Duplex>();
  const server = https.createServer(serving, (request, response) => answerLog(find, request, response));
  server.on("secureConnection", (socket: Duplex) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket)).on("error", () => socket.destroy());
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const input = read(request, find);
    if (input.isLost) return void socket.destroy();
    if (!input.pod) return refuse(socket, "404 Not Found", "pod does not exist");
    if (input.verb === "portForward") return acceptPortForward(request, socket, head, input.query, input.pod);
    const { container } = input;
    if (input.verb !== "exec" || !container || !("running" in container.state))
      return refuse(socket, "500 Internal Server Error", `container not found ("${input.containerName}")`);
    const cwd = podFolder(home, input.pod.pod);
    acceptExec(request, socket, head, { query: input.query, container, cwd, guard });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface ContainerRequest {
  readonly verb: string | undefined;
  readonly query: URLSearchParams;
  readonly pod: PodRun | undefined;
  readonly isLost: boolean;
  readonly containerName: string | undefined;
  readonly container: RunningContainer | undefined;
}

/** Parses `/<verb>/<namespace>/<pod>/<container>`. */
function read(request: IncomingMessage, find: FindPod): ContainerRequest {
  const url = new URL(request.url ?? "/", "https://kubelet");
  const [verb, namespace = "", name = "", containerName] = url.pathname.split("/").slice(1);
  const found = find(namespace, name);
  const isLost = found === "lost";
  const pod = isLost ? undefined : found;
  const container = pod?.containers.find(({ spec }) => spec.name === containerName);
  return { verb, query: url.searchParams, pod, isLost, containerName, container };
}

function answerLog(find: FindPod, request: IncomingMessage, response: ServerResponse): void {
  const { verb, query, pod, isLost, containerName, container } = read(request, find);
  if (isLost) return void request.socket.destroy();
  if (verb !== "containerLogs" || !pod) return void response.writeHead(404).end("pod does not exist\n");
  const name = `container "${containerName}" in pod "${pod.pod.metadata.name}"`;
  if (!container) return void response.writeHead(400).end(`${name} is not available\n`);
  if ("waiting" in container.state)
    return void response.writeHead(400).end(`${name} is waiting to start: ${container.state.waiting.reason}\n`);
  response.writeHead(200, { "content-type": "text/plain" });
  response.flushHeaders();
  // A real kubelet has sent its 200 before it finds this out (kubelet/kuberuntime, GetContainerLogs).
  if (container.log.isMissing())
    return void response.end(`unable to retrieve container logs for ${containerId(pod.pod, container.spec.name)}`);
  container.log.send(query, response);
}

function refuse(socket: Duplex, status: string, reason: string): void {
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: ${reason.length}\r\n\r\n${reason}`,
  );
}
