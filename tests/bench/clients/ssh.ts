import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import ssh2, { type Client } from "ssh2";
import { newSshKey, type SshKeyPair } from "#gateway/ssh/login/ssh-keys.ts";
import { submitJob, untilActive, wholeNode } from "../core/jobs.ts";
import type { Measure } from "../measure.ts";
import { type LocalStack, until, withStack } from "../server/local-stack.ts";

const sessions = 100;

export interface SshTarget {
  readonly port: number;
  readonly username: string;
  readonly key: SshKeyPair;
}

/** Logins of many clients to one environment. No client runs `true` before all are connected. */
export const ssh: Measure = {
  name: "ssh",
  run: () => withTarget(enterAll),
};

export async function withTarget<Result>(use: (target: SshTarget) => Promise<Result>): Promise<Result> {
  const key = newSshKey();
  const keys = createServer((_, response) => response.end(`${key.public}\n`)).listen(0, "127.0.0.1");
  await once(keys, "listening");
  const GITHUB_KEYS_URL = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/<user>.keys`;
  const begin = async (stack: LocalStack) => use({ ...(await openTarget(stack)), key });
  try {
    return await withStack(`${wholeNode.type}=1`, begin, { GITHUB_KEYS_URL });
  } finally {
    keys.close();
  }
}

async function enterAll(target: SshTarget) {
  const begun = performance.now();
  const entered = await Promise.allSettled(Array.from({ length: sessions }, () => enter(target)));
  const enteredMs = performance.now() - begun;
  const clients = entered.flatMap((entry) => (entry.status === "fulfilled" ? [entry.value] : []));
  const ran = await Promise.allSettled(clients.map(runTrue));
  const seconds = (performance.now() - begun) / 1000;
  for (const client of clients) client.destroy();
  const failures = [...entered, ...ran].filter((entry) => entry.status === "rejected");
  const note = `all logged in after ${(enteredMs / 1000).toFixed(2)} s, then \`true\` in each; clients on the same machine`;
  const name = `${sessions} concurrent SSH sessions`;
  const failed = { name: `${name}: failures`, value: failures.length, unit: "", limit: 0 };
  return [
    { name: `${name}: total`, value: seconds, unit: "s", note },
    failures[0] ? { ...failed, note: `the first: ${failures[0].reason}` } : failed,
  ];
}

async function openTarget(stack: LocalStack): Promise<Omit<SshTarget, "key">> {
  const id = await submitJob(stack, 1);
  await untilActive(stack, id);
  await stack.call("POST", `/v1/jobs/${id}/users`, { github_username: "octocat" });
  return until(async () => {
    const job = await stack.call<{ ssh_command: string; actions: { status: string }[] }>("GET", `/v1/jobs/${id}`);
    const [, port, username] = /^ssh -p (\d+) (\S+)@/.exec(job.ssh_command) ?? [];
    return job.actions[0]?.status === "done" && username ? { port: Number(port), username } : undefined;
  });
}

export async function enter({ port, username, key }: SshTarget): Promise<Client> {
  const client = new ssh2.Client();
  const ready = once(client, "ready");
  client.connect({ host: "127.0.0.1", port, username, privateKey: key.private });
  await ready;
  client.on("error", () => undefined);
  return client;
}

/** Adds the listener inside the callback, because the exit may arrive in the same packet as the answer. */
function runTrue(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.exec("true", (error, channel) => {
      if (error) return reject(error);
      let ended: unknown = "nothing said";
      channel.on("exit", (code: number | null, signal?: string) => {
        ended = code ?? signal;
      });
      channel.once("close", () => (ended === 0 ? resolve() : reject(new Error(`true ended with ${ended}`))));
      channel.resume().stderr.resume();
      channel.end();
    });
  });
}
