import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isAlive, signalProcess } from "#process/supervisor/process-identity.ts";
import { buildBinary } from "#tests/cluster/binary.ts";
import { buildImages, debianImage } from "#tests/nodes/images.ts";
import { removeLeftovers } from "#tests/nodes/leftovers.ts";
import {
  findLocalCluster,
  type LocalCluster,
  localClusterFolder,
  localNodes,
  serveLocalCluster,
} from "#tests/nodes/local-cluster.ts";
import { buildPrograms } from "#tests/nodes/programs.ts";
import { findFullDisk, findMissing, readFacts } from "#tests/nodes/requirements.ts";
import { findMissingForTools } from "./images/tools-image.ts";

const help = `Runs a Kubernetes cluster with two nodes on this machine, for COMPUTE=kubernetes npm start.

  npm run cluster:local -- up       starts it in the background. The first time builds it, for about 20 minutes
  npm run cluster:local -- status   says how to use it
  npm run cluster:local -- down     ends it, with everything that runs on it
`;

const folder = localClusterFolder(process.env);
const log = join(folder, "cluster.log");
const commands: Readonly<Record<string, () => Promise<void>>> = {
  up,
  down,
  status,
  "--help": async () => console.log(help),
  // `up` starts it in the background.
  serve: () => serveLocalCluster(folder).then(() => process.exit()),
};
const [name = ""] = process.argv.slice(2);
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
try {
  if (command) await command();
  else fail(help);
} catch (error) {
  fail((error as Error).message);
}

async function up(): Promise<void> {
  const { env } = process;
  const missing =
    findMissing(await readFacts(env)) ?? (await findMissingForTools(env)) ?? (await findFullDisk(tmpdir()));
  if (missing !== undefined) return fail(`This machine cannot run a local cluster: ${missing}`);
  if (!(await findLocalCluster(folder))) await startInBackground();
  await status();
}

async function status(): Promise<void> {
  const cluster = await findLocalCluster(folder);
  if (!cluster) return fail("No local cluster runs. Start one with: npm run cluster:local -- up");
  console.log(cluster.home === undefined ? `The local cluster starts. Its log is ${log}` : describe(cluster.home));
}

async function down(): Promise<void> {
  const cluster = await findLocalCluster(folder);
  if (cluster) await stop(cluster);
  // A killed cluster has left its interface, its cgroups and its state file.
  if (findMissing(await readFacts(process.env)) === undefined) await removeLeftovers();
  await rm(folder, { recursive: true, force: true });
  console.log(cluster ? "The local cluster has ended." : "No local cluster runs.");
}

async function startInBackground(): Promise<void> {
  await Promise.all([buildBinary(process.env).then(() => buildPrograms(process.env)), buildImages(process.env)]);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const output = openSync(log, "w", 0o600);
  const words = [fileURLToPath(import.meta.url), "serve"];
  const child = spawn(process.execPath, words, { detached: true, stdio: ["ignore", output, output, "ipc"] });
  closeSync(output);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => child.kill("SIGTERM"));
  await untilReady(child);
  child.disconnect();
  child.unref();
}

async function untilReady(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit").then(async () => {
    throw new Error(`The local cluster has ended at its start:\n${(await readFile(log, "utf8")).trim()}`);
  });
  await Promise.race([once(child, "message"), ended]);
  ended.catch(() => undefined);
}

async function stop({ process }: LocalCluster): Promise<void> {
  signalProcess(process, "SIGTERM");
  while (isAlive(process)) await sleep(50);
}

function describe(home: string): string {
  const nodes = localNodes.map(({ name, instanceType }) => `${name} (${instanceType})`).join(" and ");
  return `The local cluster runs, with nodes ${nodes}. Start Berth on it:

  COMPUTE=kubernetes KUBECONFIG=${home}/berth.kubeconfig BERTH_HOME=${home}/berth npm start

Its nodes reach no registry and have one image, Debian with Python. Run a job from another shell:

  export BERTH_HOME=${home}/berth
  npx berth up first --type h100 --image ${debianImage} -- 'cat /etc/debian_version; sleep 1h'
  npx berth logs first

${home}/admin.kubeconfig has all rights. Records and logs are in the same folder. It is removed when
the cluster ends. End Berth before: npm run cluster:local -- down
`;
}

function fail(message: string): void {
  console.error(message);
  process.exitCode = 1;
}
