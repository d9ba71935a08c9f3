import { Agent, createServer, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import type { KubeServer } from "./kube-server.ts";
import type { MotoAccount } from "./moto-account.ts";

/** Stands in for AWS: passes calls on to an account, and records their actions. */
export interface AwsFront {
  readonly url: string;
  /** Answers the actions of all calls since it was asked last, each once. */
  takeActions(): string[];
  /** Whether calls to the Management API of a WebSocket API are allowed: moto allows all of them. */
  allowConnections(isAllowed: boolean): void;
  /** The queues that messages may be sent to: moto checks only the action. */
  allowSends(queues: readonly string[]): void;
  /** Whether indexes of tables may be queried: moto checks only the action. */
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
    // Functions run at the time of their case, and would take the account's date for the right one.
    const { "transfer-encoding": _, "content-length": __, connection: ___, date: ____, ...headers } = answer.headers;
    response.sendDate = false;
    // To HEAD and 204 nothing is answered.
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
 * Returns the IAM action of a call: its own name, except for S3 (Service Authorization Reference). Returns undefined
 * for unsigned calls and for GetCallerIdentity, which every user may call and the user at a login has signed.
 */
function findAction({ method, path, headers, body }: Call): string | undefined {
  const [, service] = /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)\//.exec(headers.authorization ?? "") ?? [];
  if (service === undefined || service === "sts") return undefined;
  if (service === "execute-api") return "execute-api:ManageConnections";
  if (service === "eks") return "eks:DescribeCluster";
  if (service === "s3") return `s3:${path.includes("list-type=2") ? "ListBucket" : actionsOfS3[method]}`;
  const [, target] = /\.(\w+)$/.exec(String(headers["x-amz-target"] ?? "")) ?? [];
  const name = target ?? new URLSearchParams(body.toString()).get("Action") ?? "unknown";
  return `${service}:${name === "TransactWriteItems" ? "PutItem" : name}`;
}

const actionsOfS3: Readonly<Record<string, string>> = { GET: "GetObject", PUT: "PutObject", DELETE: "DeleteObject" };

/** `work` */
function getQueue(body: Buffer): string {
  return /\/([a-z]+)(?:\.fifo)?$/.exec(JSON.parse(body.toString()).QueueUrl)?.[1] ?? "";
}

/** Host and all as they were signed. */
function passOn(endpoint: string, agent: Agent, { method, path, headers, body }: Call) {
  return new Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }>((resolve, reject) => {
    const input = request(`${endpoint}${path}`, { method, headers, agent }, async (answer) => {
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: await getBytes(answer) });
    });
    input.on("error", reject).end(body);
  });
}

/** The cluster of moto's answer is nowhere: it is our API server. */
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
