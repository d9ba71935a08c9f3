import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { processServer, type TestServer } from "./test-server.ts";

/** Message if moto is missing. */
export const MOTO_MISSING = "moto_server is not on the PATH: pip install 'moto[server]==5.2.5'";
/** Account id of moto. */
export const MOTO_ACCOUNT = "123456789012";

/**
 * DynamoDB, SQS and more of AWS by moto, which is Python and no part of an installation of Berth: in memory, on
 * 127.0.0.1 and a free port. Undefined where this machine does not have it. Takes the server that TEST_STS_URL names in
 * its place where `variable` says so, and does not end that.
 */
export async function startMoto(variable?: "TEST_STS_URL"): Promise<TestServer | undefined> {
  const running = variable && process.env[variable];
  if (running) return { endpoint: running.replace(/\/+$/, ""), stop: async () => undefined };
  const child = spawn("moto_server", ["-H", "127.0.0.1", "-p", "0"], { stdio: ["ignore", "pipe", "pipe"] });
  const endpoint = await findAddress(child);
  if (endpoint === undefined) return undefined;
  return processServer(child, endpoint);
}

/** Finds the address in moto's error output. */
async function findAddress(child: ChildProcess): Promise<string | undefined> {
  const failed = once(child, "error").then(([error]) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  });
  return Promise.race([failed, saidAddress(child)]);
}

async function saidAddress(child: ChildProcess): Promise<string> {
  let said = "";
  for await (const part of child.stderr ?? []) {
    said += String(part);
    const [, endpoint] = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(said) ?? [];
    if (endpoint === undefined) continue;
    return endpoint;
  }
  throw new Error(`moto_server did not start: ${said.slice(-500)}`);
}
