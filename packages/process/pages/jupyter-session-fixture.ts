import { spawnSync } from "node:child_process";
import { on, once } from "node:events";
import { WebSocket } from "ws";
import { systemPath } from "../sandbox/local-path.ts";

/** Whether runs find a Jupyter on the system path. */
export const hasJupyter =
  spawnSync("/bin/sh", ["-c", "jupyter lab --version"], { env: { PATH: systemPath } }).status === 0;

interface JupyterAddress {
  readonly origin: string;
  readonly token: string;
}

/** Starts a kernel of the real Jupyter, runs Python code in it, and returns what that prints. */
export async function runInKernel(jupyter: JupyterAddress, code: string): Promise<string> {
  const { id } = await create(jupyter, "/api/kernels");
  const socket = await connect(jupyter, `/api/kernels/${id}/channels`);
  const content = { code, silent: false, store_history: false, user_expressions: {}, allow_stdin: false };
  const header = { msg_id: "1", username: "", session: "s", msg_type: "execute_request", version: "5.3" };
  socket.send(JSON.stringify({ header, parent_header: {}, metadata: {}, channel: "shell", buffers: [], content }));
  let printed = "";
  for await (const message of listMessages(socket)) {
    const { parent_header, msg_type, content } = message as KernelMessage;
    if (parent_header.msg_id !== "1") continue;
    if (msg_type === "stream") printed += content.text;
    if (msg_type === "status" && content.execution_state === "idle") break;
  }
  socket.terminate();
  return printed;
}

interface KernelMessage {
  readonly msg_type: string;
  readonly parent_header: { readonly msg_id?: string };
  readonly content: { readonly text?: string; readonly execution_state?: string };
}

/** Opens a terminal of the real Jupyter, types a line, and returns the text up to the first match. */
export async function typeInTerminal(jupyter: JupyterAddress, line: string, expected: RegExp): Promise<string> {
  const { name } = await create(jupyter, "/api/terminals");
  const socket = await connect(jupyter, `/terminals/websocket/${name}`);
  socket.send(JSON.stringify(["stdin", `${line}\r`]));
  let shown = "";
  for await (const message of listMessages(socket)) {
    const [kind, text] = message as [string, string];
    if (kind === "stdout") shown += text;
    if (expected.test(shown)) break;
  }
  socket.terminate();
  return shown;
}

async function create({ origin, token }: JupyterAddress, path: string): Promise<{ id: string; name: string }> {
  const response = await fetch(`${origin}${path}`, { method: "POST", headers: { authorization: `token ${token}` } });
  return (await response.json()) as { id: string; name: string };
}

async function connect({ origin, token }: JupyterAddress, path: string): Promise<WebSocket> {
  const socket = new WebSocket(`${origin.replace("http", "ws")}${path}?token=${token}`);
  await once(socket, "open");
  return socket;
}

/** Yields the messages of a socket that speaks JSON, without an end. */
async function* listMessages(socket: WebSocket): AsyncGenerator<unknown> {
  for await (const [data] of on(socket, "message")) yield JSON.parse(String(data));
}
