import { Agent, createServer, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import type { KubeServer } from "./kube-server.ts";
import type { MotoAccount } from "./moto-account.ts";

/** A proxy in front of moto that records the IAM action of each call. */
export interface AwsFront {
  readonly url: string;
  /** Returns the actions since the last call, without duplicates. */
  takeActions(): string[];
  /** moto does not check the Management API of WebSocket APIs. */
  allowConnections(isAllowed: boolean): void;
  /** Sets the queues that accept messages. moto checks only the action. */
  allowSends(queues: readonly string[]): void;
  /** moto checks only the action of a query, not its index. */
  allowIndexes(isAllowed: boolean): void;
  close(): Promise<void>;
}

export async function startAwsFront({ endpoint }: MotoAccount, kube: KubeServer): Promise<AwsFront> {
  const agent = new Agent({ keepAlive: true });
  const actions = new Set<string>();
  let mayConnect = true;
  let mayBeSentTo: readonly string[] = [];
  let mayQueryIndexes = true;
  const server = createServer(async (incoming, response) => {
    const body = await getBytes(incoming);
    const call = { method: incoming.method ?? "", path: incoming.url ?? "", headers: incoming.headers, body };
    const action = findAction(call);
    if (action !== undefined) actions.add(action);
    if (action === "execute-api:ManageConnections") {
      const refused = { "x-amzn-errortype": "AccessDeniedException" };
      return void (mayConnect ? response.writeHead(200) : response.writeHead(403, refused)).end("{}");
    }
    if (action === "sqs:SendMessage" && !mayBeSentTo.includes(getQueue(body))) {
      return void response.writeHead(403, { "x-amzn-errortype": "AccessDeniedException" }).end("{}");
    }
    if (action === "dynamodb:Query" && !mayQueryIndexes && JSON.parse(body.toString()).IndexName !== undefined) {
      return void response.writeHead(400, { "x-amzn-errortype": "AccessDeniedException" }).end("{}");
    }
    const answer = await passOn(endpoint, agent, call);
    const text = action === "eks:DescribeCluster" && answer.status === 200 ? named(answer.body, kube) : answer.body;
    // Functions run at their case's time. The SDK would adjust its clock to the account's date.
    const { "transfer-encoding": _, "content-length": __, connection: ___, date: ____, ...headers } = answer.headers;
    response.sendDate = false;
    // Answers to HEAD and with status 204 have no body.
    response.writeHead(answer.status, headers).end(text.length === 0 ? undefined : text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    takeActions() {
      const taken = [...actions].toSorted();
      actions.clear();
      return taken;
    },
    allowConnections(isAllowed) {
      mayConnect = isAllowed;
    },
    allowSends(queues) {
      mayBeSentTo = queues;
    },
    allowIndexes(isAllowed) {
      mayQueryIndexes = isAllowed;
    },
    close: () =>
      new Promise((resolve) => {
        agent.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * Returns the IAM action of a call. S3's actions differ from its calls (Service Authorization Reference). Returns
 * undefined for unsigned calls and for GetCallerIdentity, which needs no permission.
 */
function findAction({ method, path, headers, body }: Call): string | undefined {
  const [, service] = /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)\//.exec(headers.authorization ?? "") ?? [];
  if (service === undefined || service === "sts") return undefined;
  if (service === "execute-api") return "execute-api:ManageConnections";
  if (service === "eks") return getActionOfEks(path);
  if (service === "s3") return `s3:${path.includes("list-type=2") ? "ListBucket" : actionsOfS3[method]}`;
  const [, target] = /\.(\w+)$/.exec(String(headers["x-amz-target"] ?? "")) ?? [];
  const name = target ?? new URLSearchParams(body.toString()).get("Action") ?? "unknown";
  return `${service}:${name === "TransactWriteItems" ? "PutItem" : name}`;
}

function getActionOfEks(path: string): string {
  if (!path.includes("/node-groups")) return "eks:DescribeCluster";
  return /\/node-groups\/[^?]/.test(path) ? "eks:DescribeNodegroup" : "eks:ListNodegroups";
}

const actionsOfS3: Readonly<Record<string, string>> = { GET: "GetObject", PUT: "PutObject", DELETE: "DeleteObject" };

/** Returns the name of the queue in a request to SQS, such as `work`. */
function getQueue(body: Buffer): string {
  return /\/([a-z]+)(?:\.fifo)?$/.exec(JSON.parse(body.toString()).QueueUrl)?.[1] ?? "";
}

/** Forwards a call with its signed headers, including the host. */
function passOn(endpoint: string, agent: Agent, { method, path, headers, body }: Call) {
  return new Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }>((resolve, reject) => {
    const input = request(`${endpoint}${path}`, { method, headers, agent }, async (answer) => {
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: await getBytes(answer) });
    });
    input.on("error", reject).end(body);
  });
}

/** Replaces the endpoint and certificate of moto's cluster by those of the test's API server. */
function named(answer: Buffer, { url, ca }: KubeServer): Buffer {
  const { cluster } = JSON.parse(answer.toString());
  const certificateAuthority = { data: Buffer.from(ca).toString("base64") };
  return Buffer.from(JSON.stringify({ cluster: { ...cluster, endpoint: url, certificateAuthority } }));
}

async function getBytes(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
