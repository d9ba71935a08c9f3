import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import type { UserContext } from "#core/context.ts";
import { waitForEnvironment } from "#core/environments/record/wait.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { sharedType } from "#core/fleet.ts";
import { apiKeyKey } from "#core/store/keys.ts";
import { issueKey } from "#core/users/issue.ts";
import { findOrCreateUser } from "#core/users/register.ts";
import { createContext } from "#http/runtime.ts";
import { type Client, createClient } from "#local/server/socket-fixture.ts";
import { shellEnvironment } from "#local/shell-environment.ts";
import { type Stack, startStack } from "#local/stack.ts";
import { silentLog } from "../fixtures/log.ts";

/** Whole stack in this process with an active workspace. */
export interface ShellStack {
  readonly stack: Stack;
  readonly ctx: UserContext<"table" | "queue" | "compute" | "sealer">;
  readonly id: string;
  /** Opens a connection to its shell, and waits for the welcome. */
  connect(): Promise<Client>;
  /** Does the same for another user with a new workspace. */
  another(session: string): Promise<() => Promise<Client>>;
  close(): Promise<void>;
}

export async function openShellStack(): Promise<ShellStack> {
  const home = mkdtempSync(join(tmpdir(), "berth-shells-"));
  const environment = { BERTH_HOME: home, PORT: "0", LOCAL_NODES: `${sharedType.name}=1` };
  const stack = await startStack({ environment, log: silentLog() });
  const [, key = ""] = /API_KEY='([^']+)'/.exec(await shellEnvironment({ home, fresh: false })) ?? [];
  const ctx = await contextOfKey(stack, key);
  const id = "ws-demo-developer-1756062811";
  return {
    stack,
    ctx,
    id,
    connect: await getShell(stack, ctx, { id, key }),
    another: async (session) => {
      const user = await findOrCreateUser(createContext(stack.runtime), {
        account: ACCOUNT,
        role: "Developers",
        session,
      });
      const { secret } = await issueKey(createContext(stack.runtime), user, "Developers");
      return getShell(stack, await contextOfKey(stack, secret), { id: `ws-demo-${session}-1756062811`, key: secret });
    },
    close: async () => {
      await stack.stop();
      rmSync(home, { recursive: true });
    },
  };
}

const ACCOUNT = "111122223333";

/** Creates a workspace, waits until it is active, and returns a function that connects to its shell. */
async function getShell(
  { url }: Stack,
  ctx: ShellStack["ctx"],
  { id, key }: { readonly id: string; readonly key: string },
): Promise<() => Promise<Client>> {
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
  const address = `${url.replace("http", "ws")}/v1/cloudrun/workspaces/${id}/shell?api_key=${key}`;
  return async () => {
    const client = createClient(new WebSocket(address));
    const welcome = await Promise.race([client.next(), client.closed]);
    if (typeof welcome === "number") throw new Error(`Closed with ${welcome}`);
    return client;
  };
}

async function contextOfKey({ runtime }: Stack, key: string): Promise<ShellStack["ctx"]> {
  const keyHash = runtime.ids.hash(key);
  const item = await runtime.ports.table.get(apiKeyKey(keyHash));
  const { uid, username, number, prefix } = { uid: "", username: "", number: 0, prefix: "", ...item };
  const actor = { uid, username, number, keyPrefix: prefix, keyHash, isAdmin: false };
  return { ...createContext(runtime), actor, dialect: "onmemos", noun: "workspace" };
}
