import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { type KubeClient, readText } from "./client.ts";

export interface ExecOptions {
  readonly pod: string;
  readonly namespace: string;
  readonly container?: string;
  readonly command: readonly string[];
  /** v5 can end the input of a command and reaches the kubelet as SPDY. v4 cannot, and is passed through. */
  readonly protocol?: "v4.channel.k8s.io" | "v5.channel.k8s.io";
  readonly stdin?: string;
  readonly terminal?: { readonly columns: number; readonly rows: number };
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: {
    readonly status: string;
    readonly message?: string;
    readonly reason?: string;
    readonly details?: object;
  };
}

const channel = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const;

/** Runs a command through the API server. Throws with status and text if it is refused. */
export async function exec(client: KubeClient, options: ExecOptions): Promise<ExecResult> {
  const { protocol = "v5.channel.k8s.io", stdin, terminal } = options;
  const query = new URLSearchParams();
  for (const word of options.command) query.append("command", word);
  query.set("container", options.container ?? "main");
  query.set("stdout", "1");
  if (terminal) query.set("tty", "1");
  else query.set("stderr", "1");
  if (stdin !== undefined || terminal) query.set("stdin", "1");
  const socket = await openSocket(client, `${path(options)}/exec?${query}`, protocol);
  const said: Record<number, Buffer[]> = { 1: [], 2: [], 3: [] };
  socket.on("message", (message: Buffer) => said[message.readUInt8(0)]?.push(message.subarray(1)));
  const ended = new Promise((resolve) => socket.on("close", resolve));
  socket.resume();
  if (terminal) sendOn(socket, channel.resize, JSON.stringify({ Width: terminal.columns, Height: terminal.rows }));
  if (stdin !== undefined) sendOn(socket, channel.stdin, stdin);
  if (stdin !== undefined && protocol === "v5.channel.k8s.io") socket.send(Buffer.from([channel.close, channel.stdin]));
  await ended;
  const text = (of: number) => Buffer.concat(said[of] ?? []).toString();
  return { stdout: text(channel.stdout), stderr: text(channel.stderr), status: JSON.parse(text(channel.status)) };
}

/** Sends bytes to a port of a pod, and returns its answer until it closes, and any error. */
export async function askPort(
  client: KubeClient,
  options: { readonly namespace: string; readonly pod: string; readonly port: number; readonly bytes: string },
): Promise<{ readonly answer: string; readonly problem: string }> {
  const socket = await openSocket(client, `${path(options)}/portforward?ports=${options.port}`, "v4.channel.k8s.io");
  const said: [Buffer[], Buffer[]] = [[], []];
  socket.on("message", (message: Buffer) => said[message.readUInt8(0)]?.push(message.subarray(1)));
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.resume();
  sendOn(socket, 0, options.bytes);
  await closed;
  const [answer, problem] = said.map((parts) => Buffer.concat(parts));
  if (answer?.readUInt16LE() !== options.port) throw new Error("The channel does not begin with its port");
  return { answer: answer.subarray(2).toString(), problem: problem?.subarray(2).toString() ?? "" };
}

function path({ namespace, pod }: { namespace: string; pod: string }): string {
  return `/api/v1/namespaces/${namespace}/pods/${pod}`;
}

function sendOn(socket: WebSocket, to: number, data: string): void {
  socket.send(Buffer.concat([Buffer.from([to]), Buffer.from(data)]));
}

/** Opens a paused socket. The caller adds its listeners and then resumes it. */
function openSocket({ access }: KubeClient, at: string, protocol: string): Promise<WebSocket> {
  const socket = new WebSocket(`${access.url.replace("https", "wss")}${at}`, protocol, {
    ca: access.ca,
    headers: { ...access.headers, authorization: `Bearer ${access.token}` },
  });
  return new Promise((resolve, reject) => {
    socket.on("open", () => {
      socket.pause();
      resolve(socket);
    });
    socket.on("error", reject);
    socket.on("unexpected-response", (_, response: IncomingMessage) => {
      readText(response).then((text) => reject(new Error(`${response.statusCode} ${text}`)), reject);
    });
  });
}
