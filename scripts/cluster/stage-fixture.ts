import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";
import { type Answering, loopbackServer, refuse } from "#kubernetes/fixtures/loopback-fixture.ts";

type Settings = Readonly<Record<string, string>>;

const stage = {
  AWS_REGION: "eu-west-1",
  DOMAIN: "berth.test",
  ALLOWED_ACCOUNTS: "111122223333",
  ALLOWED_ROLES: "Dev",
  EKS_CLUSTER: "gpus",
  LOGIN_SERVER_ID: "berth.test",
};

/** Creates a folder with the settings of a stage `dev`, which the test's end removes. */
export async function makeStageFolder(settings: Settings): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "berth-stage-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const lines = Object.entries({ ...stage, ...settings }).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(folder, ".env.dev"), lines.join(""));
  return folder;
}

/** Adds an `sst` that prints its words and ends with `code`. */
export async function addSst(folder: string, code: number): Promise<void> {
  const programs = join(folder, "tools/sst/node_modules/.bin");
  await mkdir(programs, { recursive: true });
  await writeFile(join(programs, "sst"), `#!/bin/sh\necho "sst $*"\nexit ${code}\n`, { mode: 0o755 });
}

/** Starts the end of a tunnel, whose cluster by default refuses each request. */
export async function startTunnel(
  answer: Answering = (_, response) => refuse(response, 403, "Forbidden", "no rights"),
) {
  const tunnel = await loopbackServer(answer);
  onTestFinished(tunnel.close);
  return { ...tunnel, ca: tunnel.access.ca ?? "" };
}

/** Writes a kubeconfig of this server, and returns the words that name it. */
export async function writeKubeconfig(folder: string, server: string, ca: string): Promise<string[]> {
  const file = join(folder, "kubeconfig");
  const data = { "certificate-authority-data": encodeCa(ca) };
  await writeFile(
    file,
    JSON.stringify({
      "current-context": "tunnel",
      contexts: [{ name: "tunnel", context: { cluster: "tunnel", user: "tunnel" } }],
      clusters: [{ name: "tunnel", cluster: { server, ...(ca && data) } }],
      users: [{ name: "tunnel", user: { token: "any" } }],
    }),
  );
  return ["--kubeconfig", file];
}

/** Encodes a certificate as EKS_CA and EKS do. */
export function encodeCa(pem: string): string {
  return Buffer.from(pem).toString("base64");
}

/** Runs a script, named from scripts/cluster, in such a folder. */
export function runIn(
  folder: string,
  script: "apply" | "check" | "deploy" | "../removal/remove" | "../sst",
  words: readonly string[],
  environment: Settings = {},
) {
  const file = fileURLToPath(new URL(`${script}.ts`, import.meta.url));
  const answer = ({ code = 0, stdout = "", stderr = "" }) => ({ code, stdout, stderr });
  const env = { PATH: process.env.PATH, HOME: folder, AWS_EC2_METADATA_DISABLED: "true", ...environment };
  return promisify(execFile)(process.execPath, [file, ...words], { cwd: folder, env }).then(answer, answer);
}
