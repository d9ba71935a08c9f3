import { request as httpRequest, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { WebSocket } from "ws";
import { systemClock } from "#aws/clock.ts";
import { systemIds } from "#aws/ids.ts";
import { readSettings } from "#aws/settings/settings.ts";
import { stsIdentity } from "#aws/sts/identity.ts";
import type { Ports } from "#core/context.ts";
import type { Log } from "#core/ports/log.ts";
import { loadCatalog } from "#http/catalog.ts";
import { version } from "#http/version.ts";
import { startServer } from "#local/server/server.ts";
import { memoryMachineGroups } from "../fakes/memory-machine-groups.ts";
import { REGION } from "../synthesis/cloud.ts";
import type { DeployedStage } from "./deployed-stage.ts";
import type { OriginAnswer, ViewerRequest } from "./edge.ts";
import { variablesIn } from "./runtime/services.ts";
import { type ClientSocket, frameText } from "./runtime/socket-client.ts";

export interface Local {
  ask(request: ViewerRequest): Promise<OriginAnswer>;
  /** Opens a WebSocket, or returns the answer that refuses it. */
  connect(target: string): Promise<ClientSocket | OriginAnswer>;
  stop(): Promise<void>;
}

export async function startLocal(
  { resources, services }: DeployedStage,
  others: Pick<Ports, "compute" | "volumes" | "githubKeys" | "fetch">,
  log: Log,
): Promise<Local> {
  const { endpoints, sockets } = await loadCatalog();
  const clock = systemClock();
  const identity = stsIdentity({ endpoint: services.stsEndpoint, region: REGION });
  const runtime = {
    ports: { ...services.ports, ...others, identity, machineGroups: memoryMachineGroups() },
    clock,
    ids: systemIds(),
    log,
    settings: readSettings(variablesIn(resources)),
    deployment: {
      version,
      startedAt: clock.now(),
      isolation: "container",
      limits: "container (memory, cpu)",
      region: REGION,
    },
  };
  const server = await startServer(() => runtime, endpoints, { port: 0, setting: "PORT", sockets });
  return {
    ask: (request) => askServer(server.url, request),
    connect: (target) => openSocket(`${server.url.replace("http", "ws")}${target}`),
    stop: () => server.stop(),
  };
}

/** Sends the target unchanged. fetch would normalize it. */
async function askServer(url: string, { method, target, headers, body }: ViewerRequest): Promise<OriginAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ hostname, port, method, path: target, headers, agent: false }, (answer) =>
      getAnswer(answer).then(resolve, reject),
    );
    sent.on("error", reject).end(body);
  });
}

async function getAnswer(answer: IncomingMessage): Promise<OriginAnswer> {
  const { statusCode: status = 0 } = answer;
  const input = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
  return { status, headers: Object.fromEntries(input), body: await buffer(answer) };
}

function openSocket(url: string): Promise<ClientSocket | OriginAnswer> {
  const ws = new WebSocket(url);
  const frames: object[] = [];
  const closed = new Promise<void>((resolve) => ws.once("close", () => resolve()));
  ws.on("message", (data) => void frames.push(JSON.parse(String(data))));
  return new Promise((resolve, reject) => {
    // After the socket is open, each error is followed by a close event.
    ws.on("error", reject);
    ws.on("unexpected-response", (_, answer) => void getAnswer(answer).then(resolve, reject));
    ws.on("open", () =>
      resolve({
        frames,
        isClosed: () => ws.readyState === WebSocket.CLOSED,
        send: async (frame) => ws.send(frameText(frame)),
        async close() {
          ws.close();
          await closed;
        },
      }),
    );
  });
}
