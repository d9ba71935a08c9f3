import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import type { UserContext } from "#core/context.ts";
import { waitForEnvironment } from "#core/environments/record/wait.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { sharedType } from "#core/fleet.ts";
import { apiKeyKey } from "#core/keys.ts";
import { contextOf } from "#http/runtime.ts";
import { silentLog } from "#testing/log.ts";
import { shellEnvironment } from "../shell-environment.ts";
import { type Client, clientOf } from "../socket-trial.ts";
import { type Stack, startStack } from "../stack.ts";

/** A whole stack in this process, with an active workspace in it. */
export interface ShellStack {
  readonly stack: Stack;
  readonly ctx: UserContext<"table" | "queue" | "compute" | "sealer">;
  readonly id: string;
  /** A connection to its shell that was welcomed. */
  connect(): Promise<Client>;
  close(): Promise<void>;
}

export async function openShellStack(): Promise<ShellStack> {
  const home = mkdtempSync(join(tmpdir(), "berth-shells-"));
  const environment = { BERTH_HOME: home, PORT: "0", LOCAL_NODES: `${sharedType.name}=1` };
  const stack = await startStack({ environment, log: silentLog() });
  const [, key = ""] = /API_KEY='([^']+)'/.exec(await shellEnvironment({ home, fresh: false })) ?? [];
  const ctx = await contextOfKey(stack, key);
  const id = "ws-demo-developer-1756062811";
  await createEnvironment(ctx, {
    id,
    name: id,
    labels: {},
    image: "python",
    command: undefined,
    env: { GREETING: "hello" },
    volumes: [{ name: "workspace", path: "/workspace", sizeGb: 10 }],
    size: { pool: sharedType.pool, instanceType: sharedType.name, machines: 1, units: 1, gpus: 0, wantedMs: 3_600_000 },
  });
  const active = await waitForEnvironment(ctx, id, (it) => it?.phase === "active");
  if (active?.phase !== "active") throw new Error(`The workspace is ${active?.phase}`);
  const url = `${stack.url.replace("http", "ws")}/v1/cloudrun/workspaces/${id}/shell?api_key=${key}`;
  return {
    stack,
    ctx,
    id,
    connect: async () => {
      const client = clientOf(new WebSocket(url));
      const welcome = await Promise.race([client.next(), client.closed]);
      if (typeof welcome === "number") throw new Error(`Closed with ${welcome}`);
      return client;
    },
    close: async () => {
      await stack.stop();
      rmSync(home, { recursive: true });
    },
  };
}

async function contextOfKey({ runtime }: Stack, key: string): Promise<ShellStack["ctx"]> {
  const keyHash = runtime.ids.hash(key);
  const item = await runtime.ports.table.get(apiKeyKey(keyHash));
  const { uid, username, number, prefix } = { uid: "", username: "", number: 0, prefix: "", ...item };
  const actor = { uid, username, number, keyPrefix: prefix, keyHash, isAdmin: false };
  return { ...contextOf(runtime), actor, dialect: "onmemos", noun: "workspace" };
}
