import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { type IncomingHttpHeaders, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

const TARGET = "x-amz-target";
const VERSION = "DynamoDB_20120810";
/** Requests of a transaction: puts and deletes. */
const INNER = "x-inner-call";

/**
 * Adds TransactWriteItems, with puts only, to a dynalite server. A refused put undoes the earlier ones. Other calls
 * wait, so no reader sees half a transaction.
 */
export function addTransactions(server: Server): void {
  const [answer] = server.listeners("request") as [(request: IncomingMessage, response: ServerResponse) => void];
  const ownName = randomUUID();
  let line: Promise<unknown> = Promise.resolve();
  const open = new Set<Promise<unknown>>();

  const plain = (request: IncomingMessage, response: ServerResponse) => {
    const over = once(response, "close");
    open.add(over);
    void over.then(() => open.delete(over));
    answer(request, response);
  };
  const transact = async (request: IncomingMessage, response: ServerResponse) => {
    await Promise.all(open);
    const { port } = server.address() as AddressInfo;
    const call = caller(port, { ...request.headers, [INNER]: ownName });
    const { status, body } = await putAll(JSON.parse(await text(request)), call);
    response.writeHead(status, { "content-type": "application/x-amz-json-1.0" }).end(JSON.stringify(body));
  };

  server.removeAllListeners("request");
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    if (request.headers[INNER] === ownName) return answer(request, response);
    if (request.headers[TARGET] !== `${VERSION}.TransactWriteItems`)
      return void line.then(() => plain(request, response));
    line = line.then(() => transact(request, response)).catch(() => response.destroy());
  });
}

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: each call answers in a shape of its own
  readonly body: any;
}

type Call = (name: string, input: object) => Promise<Answer>;

interface Transaction {
  readonly TransactItems: readonly { readonly Put?: Put }[];
}

interface Put {
  readonly TableName: string;
  readonly Item: Readonly<Record<string, unknown>>;
}

async function putAll({ TransactItems }: Transaction, call: Call): Promise<Answer> {
  const undo: (() => Promise<unknown>)[] = [];
  for (const [at, { Put }] of TransactItems.entries()) {
    if (!Put) throw new Error("Only puts are supported in transactions");
    const { TableName, Item } = Put;
    const { status, body } = await call("PutItem", { ...Put, ReturnValues: "ALL_OLD" });
    if (status === 200) {
      const Key = { pk: Item.pk, sk: Item.sk };
      const { Attributes: before } = body;
      undo.unshift(() =>
        before ? call("PutItem", { TableName, Item: before }) : call("DeleteItem", { TableName, Key }),
      );
      continue;
    }
    for (const takeBack of undo) await takeBack();
    return body.__type?.endsWith("#ConditionalCheckFailedException")
      ? cancelled(TransactItems.length, at)
      : { status, body };
  }
  return { status: 200, body: {} };
}

/** Returns DynamoDB's error ("TransactWriteItems", errors). */
function cancelled(count: number, refused: number): Answer {
  const codes = Array.from({ length: count }, (_, at) => (at === refused ? "ConditionalCheckFailed" : "None"));
  const message = `Transaction cancelled, please refer cancellation reasons for specific reasons [${codes.join(", ")}]`;
  const __type = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
  const reasons = codes.map((Code) => ({ Code }));
  return { status: 400, body: { __type, message, CancellationReasons: reasons } };
}

/** Calls this server with the identity of these headers. */
function caller(port: number, { "content-length": _, ...headers }: IncomingHttpHeaders): Call {
  return async (name, input) => {
    const target = { [TARGET]: `${VERSION}.${name}` };
    const sent = request({
      port,
      host: "127.0.0.1",
      method: "POST",
      path: "/",
      agent: false,
      headers: { ...headers, ...target },
    });
    sent.end(JSON.stringify(input));
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    return { status: answer.statusCode ?? 0, body: JSON.parse(await text(answer)) };
  };
}
