import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface Invocation {
  readonly id: string;
  readonly functionArn: string;
  readonly event: unknown;
  /** ms since the epoch. */
  readonly deadlineAt: number;
}

export interface FailedInvocation {
  readonly errorType: string;
  readonly errorMessage: string;
}

/** The answer of a function, or its failure in Lambda's form. */
export type Answered = { readonly value: unknown } | { readonly error: FailedInvocation };

/** The runtime API of one process, on loopback (Lambda Developer Guide, "Using the Lambda runtime API"). */
export interface RuntimeApi {
  readonly address: string;
  /** Waits until the process asks for an invocation. Returns its failure if the init failed. */
  asked(): Promise<FailedInvocation | undefined>;
  /** Passes an invocation to the waiting process and returns the result. */
  hand(invocation: Invocation): Promise<Answered>;
  stop(): Promise<void>;
}

/** Limit of an answer in bytes ("Lambda quotas"). */
const MOST_BYTES = 6 * 1024 * 1024;

export async function startRuntimeApi(): Promise<RuntimeApi> {
  let next = Promise.withResolvers<ServerResponse | FailedInvocation>();
  let current: { readonly id: string; readonly answer: (answered: Answered) => void } | undefined;

  async function take(request: IncomingMessage): Promise<number> {
    const said = await text(request);
    const [, id, kind] =
      /^\/2018-06-01\/runtime\/(?:invocation\/([^/]+)|init)\/(response|error)$/.exec(request.url ?? "") ?? [];
    if (kind === "error" && id === undefined) {
      next.resolve(JSON.parse(said));
      return 202;
    }
    if (!current || id !== current.id) return 400;
    const { answer } = current;
    current = undefined;
    if (kind === "error") answer({ error: JSON.parse(said) });
    else if (Buffer.byteLength(said) > MOST_BYTES) answer({ error: tooLarge });
    else answer({ value: JSON.parse(said) });
    return 202;
  }

  const server = createServer((request, response) => {
    if (request.method === "GET" && request.url === "/2018-06-01/runtime/invocation/next") {
      next.resolve(response);
      return;
    }
    take(request).then(
      (status) => response.writeHead(status).end(),
      () => response.writeHead(400).end(),
    );
  });
  // A frozen process keeps its connection open.
  Object.assign(server, { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async asked() {
      const it = await next.promise;
      return "errorType" in it ? it : undefined;
    },
    async hand({ id, functionArn, event, deadlineAt }) {
      const response = await next.promise;
      if ("errorType" in response) return { error: response };
      next = Promise.withResolvers();
      const answered = Promise.withResolvers<Answered>();
      current = { id, answer: answered.resolve };
      response.writeHead(200, {
        "content-type": "application/json",
        "lambda-runtime-aws-request-id": id,
        "lambda-runtime-deadline-ms": String(deadlineAt),
        "lambda-runtime-invoked-function-arn": functionArn,
        "lambda-runtime-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
      });
      response.end(JSON.stringify(event));
      return answered.promise;
    },
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const tooLarge: FailedInvocation = {
  errorType: "Function.ResponseSizeTooLarge",
  errorMessage: `Response payload size exceeded maximum allowed payload size (${MOST_BYTES} bytes).`,
};
