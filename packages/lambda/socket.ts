import { readConfig } from "#aws/settings/config.ts";
import type { SocketGateway } from "#aws/socket-gateway.ts";
import type { PortName } from "#core/context.ts";
import { writeRecord } from "#core/store/write-record.ts";
import { HttpError } from "#http/answers/http-error.ts";
import { type Admitted, handshakes, socketContext } from "#http/handshake.ts";
import { hashCheck } from "#http/keys/key-check.ts";
import type { Runtime } from "#http/runtime.ts";
import type { Socket, SocketStep } from "#http/socket.ts";
import { addConnection, type Connection, dropConnection, findConnection } from "./connection.ts";
import { functionLog } from "./function-log.ts";
import { type GatewayResult, requestOfEvent, resultOfResponse, VIEWER_HEADER } from "./gateway.ts";
import { atInit, createRuntime, type Factories, type Invocation, refusal, refuse } from "./lambda.ts";
import { ORIGIN_HEADER, originCheck, refusedOrigins } from "./origin.ts";
import { parseSocketEvent, parseSocketFrames, type SocketEvent, type SocketFrame } from "./socket-event.ts";
import { allFailed, type SqsResult } from "./sqs.ts";

export type SocketHandler = (event: unknown, invocation?: Invocation) => Promise<GatewayResult | SqsResult>;

/**
 * Returns the Lambda handler of a WebSocket that API Gateway keeps. `$default` puts frames into a FIFO queue, grouped
 * by connection (docs/architecture/web-shell.md).
 */
export function socketLambda<Needs extends PortName>(
  socket: Socket<Needs>,
  factories: Factories<NoInfer<Needs>>,
  makeGateway: () => SocketGateway,
): SocketHandler {
  const log = functionLog();
  const init = atInit(() => {
    // The cast is sound: the verbs of a socket use only the ports that the socket names.
    const runtime = createRuntime<Needs>(factories, log) as unknown as Runtime;
    const isFromEdge = originCheck(readConfig(["ORIGIN_SECRETS"]).ORIGIN_SECRETS);
    const noteRefused = refusedOrigins(log, runtime.clock);
    return { isFromEdge, noteRefused, serving: getServing(runtime, socket as Socket, makeGateway()) };
  });
  return async (rawEvent, invocation) => {
    log.begin(invocation?.awsRequestId);
    const { isFromEdge, noteRefused, serving } = init();
    const frames = parseSocketFrames(rawEvent);
    if (frames) return { batchItemFailures: await takeAll(serving, frames) };
    const event = parseSocketEvent(rawEvent);
    if (!event) return refuse(log, rawEvent, hasRecords(rawEvent) ? allFailed : refusal(400, "Bad Request"));
    if (event.type === "DISCONNECT") return disconnect(serving, event);
    if (!isFromEdge(event.request.headers[ORIGIN_HEADER])) {
      noteRefused();
      return refusal(403, "Forbidden");
    }
    return connect(serving, event);
  };
}

/** Reports whether this is a queue's batch. Lambda deletes a batch after any answer of another form. */
function hasRecords(event: unknown): boolean {
  return typeof event === "object" && event !== null && "Records" in event;
}

interface Serving {
  readonly runtime: Runtime;
  readonly socket: Socket;
  readonly gateway: SocketGateway;
  readonly shakeHands: ReturnType<typeof handshakes>;
  readonly checkHash: ReturnType<typeof hashCheck>;
}

function getServing(runtime: Runtime, socket: Socket, gateway: SocketGateway): Serving {
  const { ids, clock, settings, keys } = runtime;
  const checkHash = hashCheck({ table: runtime.ports.table, ids, clock, settings, memory: keys });
  return { runtime, socket, gateway, shakeHands: handshakes(runtime, [socket]), checkHash };
}

async function connect(serving: Serving, { connection, request }: SocketEvent): Promise<GatewayResult> {
  const { runtime, shakeHands, gateway } = serving;
  const hold = async ({ begun, actor, requestId }: Admitted) => {
    await addConnection(getWriting(runtime), connection, { begun, actor, requestId, now: runtime.clock.now() });
    try {
      // A client can send nothing before this answer, so the first frames precede all of the client's.
      await gateway.announce(connection);
    } catch (error) {
      // API Gateway sends no $disconnect for a refused connection. Without this its record would count until its `ttl`.
      await dropConnection(getWriting(runtime), connection);
      throw error;
    }
  };
  const viewer = request.headers[VIEWER_HEADER];
  const handshake = await shakeHands(requestOfEvent(request), hold, { viewer });
  if (!handshake) return refusal(404, "Not Found");
  if ("status" in handshake) return resultOfResponse(handshake);
  return { statusCode: 200, headers: {}, body: "", isBase64Encoded: false };
}

async function disconnect({ runtime }: Serving, { connection }: SocketEvent): Promise<GatewayResult> {
  await dropConnection(getWriting(runtime), connection);
  return { statusCode: 200, headers: {}, body: "", isBase64Encoded: false };
}

/** Handles frames in order. A failed one stops the batch, which is delivered again from there. */
async function takeAll(serving: Serving, frames: readonly SocketFrame[]): Promise<SqsResult["batchItemFailures"]> {
  for (const [at, frame] of frames.entries()) {
    try {
      await take(serving, frame);
    } catch (error) {
      serving.runtime.log.error("frame failed", { error: String(error) });
      if ((await giveBack(serving, frame)) === "closed") continue;
      return frames.slice(at).map(({ id }) => ({ itemIdentifier: id }));
    }
  }
  return [];
}

/** Receives after which the connection closes, one below the queue's limit (stacks/storage/queues.ts). */
const MOST_RECEIVES = 4;

/** Makes a failed frame visible again soon, because later ones wait. Too many failures close the connection. */
async function giveBack({ runtime, gateway }: Serving, frame: SocketFrame): Promise<"closed" | "comes again"> {
  const { connection, receipt, receives } = frame;
  try {
    if (receives < MOST_RECEIVES) {
      await gateway.showSoon(receipt);
      return "comes again";
    }
    await dropConnection(getWriting(runtime), connection);
    await gateway.close(connection);
    return "closed";
  } catch (error) {
    runtime.log.error("frame not given back", { error: String(error) });
    return "comes again";
  }
}

async function take(serving: Serving, frame: SocketFrame): Promise<void> {
  const { runtime, gateway } = serving;
  const writing = getWriting(runtime);
  const { connection, id, isFirst } = frame;
  const record = await findConnection(writing, connection);
  if (!record || record.lastMessage === id) return;
  const { state, frames, closing } = isFirst ? getWelcome(record) : await stepAfter(serving, record, frame);
  const isThere = await postAll(serving, connection, frames, isFirst ? FIRST_TRIES : 1);
  if (closing || !isThere) await gateway.close(connection);
  if (!isThere || closing) return dropConnection(writing, connection);
  // A conflict means that another worker has dropped the connection or handled this frame too.
  await writeRecord(writing, { ...record, state, lastMessage: id });
}

function getWelcome({ state, firstFrames }: Connection): SocketStep {
  return { state, frames: firstFrames.map((text) => JSON.parse(text)) };
}

/** Close code for every refusal of a key: revoked, expired, or its user disabled. */
const revoked = { code: 1008, reason: "The key is not valid any more" };

async function stepAfter(
  { runtime, socket, checkHash }: Serving,
  { keyHash, requestId, state }: Connection,
  frame: SocketFrame,
): Promise<SocketStep> {
  try {
    const actor = await checkHash(keyHash);
    return await socket.verbs.answer(socketContext(runtime, socket, { requestId, actor }), state, frame);
  } catch (error) {
    if (error instanceof HttpError) return { state, frames: [], closing: revoked };
    throw error;
  }
}

/** Attempts to post the first message, 5 s in all: it may precede the answer that opens the connection. */
const FIRST_TRIES = 20;
const PAUSE_MS = 250;

/** Returns false if the connection is gone. */
async function postAll(
  { runtime: { clock }, gateway }: Serving,
  connection: string,
  frames: readonly object[],
  tries: number,
): Promise<boolean> {
  for (const frame of frames) {
    for (let left = tries; !(await gateway.post(connection, JSON.stringify(frame))); left -= 1) {
      if (left === 1) return false;
      await clock.sleep(PAUSE_MS);
    }
  }
  return true;
}

function getWriting({ ports, ids }: Runtime) {
  return { table: ports.table, ids };
}
