import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";

const program = fileURLToPath(new URL("main.ts", import.meta.url));
let folder: string;
let environment: Record<string, string>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-gateway-"));
  const [hostKey, kubeconfig] = [join(folder, "keys"), join(folder, "kubeconfig")];
  await writeFile(hostKey, newSshKey().private);
  const config = {
    "current-context": "dev",
    contexts: [{ name: "dev", context: { cluster: "dev", user: "me" } }],
    clusters: [{ name: "dev", cluster: { server: "https://127.0.0.1:1" } }],
    users: [{ name: "me", user: { token: "secret-token" } }],
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  environment = {
    TABLE_NAME: "berth-dev",
    AWS_REGION: "us-east-1",
    DOMAIN: "preview.test",
    HOST_KEY_FILE: hostKey,
    KUBECONFIG: kubeconfig,
    PORT: "0",
    SSH_PORT: "0",
  };
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs the program until it ends by itself. */
function run(changes: Record<string, string | undefined>) {
  const env = Object.fromEntries(
    Object.entries({ PATH: process.env.PATH, ...environment, ...changes }).filter(([, value]) => value !== undefined),
  );
  return new Promise<{ readonly code: unknown; readonly err: string }>((resolve) => {
    execFile(process.execPath, [program], { env, timeout: PATIENCE_MS }, (error, _, err) => {
      resolve({ code: error?.code, err });
    });
  });
}

it("names every bad setting at once, and ends", async () => {
  const bad = { TABLE_NAME: undefined, DOMAIN: "", AWS_REGION: "", HOST_KEY_FILE: "key", SSH_PORT: "99999" };

  const { code, err } = await run({ ...bad, ALLOWED_SOURCES: "10.0.0.0/33,secret", DRAIN_SECONDS: "1h" });

  expect(code).toBe(1);
  expect(err.split("\n").toSorted()).toEqual(
    [
      "Bad settings:",
      "  TABLE_NAME must be set",
      "  DOMAIN must be set",
      "  AWS_REGION must be set",
      "  HOST_KEY_FILE must be the path of a file",
      "  SSH_PORT must be a whole number from 0 to 65535",
      "  ALLOWED_SOURCES must be addresses or networks, such as 192.0.2.0/24, separated by commas",
      "  DRAIN_SECONDS must be a whole number from 0 to 86400",
      "",
    ].toSorted(),
  );
});

it("ends outside a cluster without a kubeconfig", async () => {
  expect(await run({ KUBECONFIG: undefined })).toEqual({
    code: 1,
    err: "This process is in no pod of a cluster: set KUBECONFIG\n",
  });
});

it.each(["PORT", "SSH_PORT"])("ends with one sentence if its %s is in use", async (name) => {
  const server = createServer();
  await once(server.listen(0), "listening");
  const { port } = server.address() as AddressInfo;

  const { code, err } = await run({ [name]: String(port) });

  expect([code, err]).toEqual([1, `Port ${port} is in use: set ${name} to another port\n`]);
  server.close();
});
