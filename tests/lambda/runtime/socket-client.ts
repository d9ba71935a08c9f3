import { randomUUID } from "node:crypto";
import type { Resource } from "../../synthesis/synthesize.ts";
import type { DeployedFunctions } from "../deployed.ts";
import { createEdge, type OriginAnswer, type ViewerRequest } from "../edge.ts";
import { connectEvent, disconnectEvent, type OriginRequest } from "./events.ts";
import type { Answered } from "./runtime-api.ts";
import type { Services } from "./services.ts";

export interface ClientSocket {
  /** Received frames, in order. */
  readonly frames: readonly object[];
  isClosed(): boolean;
  /** Sends a text, or an object as JSON. Waits until the frame is sent, or queued in the emulated API Gateway. */
  send(frame: object | string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Emulates the synthesized WebSocket API. `$connect` and `$disconnect` invoke the function. `$default` sends each frame
 * to the queue by its template. A refused upgrade gets the function's answer (API Gateway Developer Guide, "Working
 * with routes for WebSocket APIs").
 */
export function createSocketGateway(
  resources: readonly Resource[],
  functions: DeployedFunctions,
  services: Services,
): (request: ViewerRequest) => Promise<ClientSocket | OriginAnswer> {
  const edge = createEdge(resources);
  const connects = getIntegration(resources, "$connect");
  const disconnects = getIntegration(resources, "$disconnect");
  const frames = getIntegration(resources, "$default");
  const invoke = (uri: string, event: object) => functions.named(functionIn(uri)).invoke(event);

  async function open(id: string, request: OriginRequest): Promise<ClientSocket> {
    const received: object[] = [];
    let isClosed = false;
    const end = async () => {
      if (isClosed) return;
      isClosed = true;
      services.connections.remove(id);
      await invoke(disconnects.integrationUri, disconnectEvent(request, id));
    };
    services.connections.add(id, {
      receive: (frame) => void received.push(JSON.parse(frame)),
      closed: () => void end(),
    });
    return {
      frames: received,
      isClosed: () => isClosed,
      close: end,
      async send(frame) {
        const body = frameText(frame);
        if (Buffer.byteLength(body) > MOST_BYTES) return end();
        const form = filledIn(frames.requestTemplates.$default ?? "", {
          "$context.connectionId": id,
          "$context.requestId": randomUUID(),
          "$input.body": body,
        });
        await services.sendForm("shell", form);
      },
    };
  }

  return async (viewer) => {
    const result = edge(viewer);
    if ("status" in result) return result;
    const id = Buffer.from(randomUUID().slice(0, 11)).toString("base64");
    const answered = await invoke(connects.integrationUri, connectEvent(result.request, id));
    const refused = refusalIn(answered);
    return refused ?? open(id, result.request);
  };
}

/** Longest message. A longer one closes the connection ("Quotas for configuring and running a WebSocket API"). */
const MOST_BYTES = 128 * 1024;

export function frameText(frame: object | string): string {
  return typeof frame === "string" ? frame : JSON.stringify(frame);
}

interface Integration {
  readonly integrationUri: string;
  readonly requestTemplates: Readonly<Record<string, string>>;
}

function getIntegration(resources: readonly Resource[], routeKey: string): Integration {
  const route = resources.find(
    ({ type, inputs }) =>
      type === "aws:apigatewayv2/route:Route" && inputs.routeKey === routeKey && inputs.apiId === "Socket-id",
  );
  const found = resources.find(
    ({ type, name }) =>
      type === "aws:apigatewayv2/integration:Integration" && `integrations/${name}-id` === route?.inputs.target,
  );
  if (!found) throw new Error(`The WebSocket API has no ${routeKey}`);
  return found.inputs as Integration;
}

function functionIn(uri: string): string {
  return /functions\/(arn:.+)\/invocations$/.exec(uri)?.[1] ?? uri;
}

/** Evaluates a mapping template that uses only `$util.urlEncode`. */
function filledIn(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\$util\.urlEncode\((\$[\w.]+)\)/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`The template uses the unknown variable ${name}`);
    return encodeURIComponent(value);
  });
}

/** Returns the answer that refuses the connection, or undefined. */
function refusalIn(answered: Answered): OriginAnswer | undefined {
  const { statusCode = 500, body = "" } = ("value" in answered ? answered.value : {}) as {
    readonly statusCode?: number;
    readonly body?: string;
  };
  return statusCode < 300 ? undefined : { status: statusCode, headers: {}, body: Buffer.from(body) };
}
