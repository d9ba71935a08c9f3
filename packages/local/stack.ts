import { join } from "node:path";
import { systemClock } from "#aws/clock.ts";
import { systemIds } from "#aws/ids.ts";
import { jsonLog } from "#aws/log.ts";
import { readConfigOf } from "#aws/settings/config.ts";
import { allSettingSchemas } from "#aws/settings/pod-setting-schemas.ts";
import { podSettingNames } from "#aws/settings/pod-settings.ts";
import { readSettings } from "#aws/settings/settings.ts";
import { releaseWatcherLease } from "#core/reconciler/watcher-lease.ts";
import { connectLocally } from "#gateway/ingress/page-connection.ts";
import { countedPages } from "#gateway/ingress/page-use.ts";
import { type Catalog, loadCatalog } from "#http/catalog.ts";
import { createContext, type Runtime } from "#http/runtime.ts";
import { findPrograms } from "#process/sandbox/local-path.ts";
import { tableWithNews } from "./activity/activity-log.ts";
import { createWaits } from "./activity/queue-activity.ts";
import type { Environments } from "./environments.ts";
import { openHome, type StackRecord } from "./home/home.ts";
import { parseNodes } from "./home/nodes.ts";
import { openStores, type Stores, sealingKey } from "./home/stores.ts";
import { type LocalIdentity, localIdentities, writeUserFiles } from "./identity/identities.ts";
import { type Sts, startSts } from "./identity/sts.ts";
import { batchesAtOnce, type Loop, startLoop, startTimer } from "./loops.ts";
import { runningNames } from "./running-environments.ts";
import { startServer } from "./server/server.ts";
import { environmentsOnCluster, environmentsOnMachine } from "./stack-environments.ts";
import { dropAwsEnvironment, localUser, loginLink, stackRuntime } from "./stack-runtime.ts";
import { type StackOptions, type StackStart, type Stoppable, stopAll, together } from "./stack-start.ts";

export interface Stack extends Pick<Environments, "isolation" | "limits" | "sharedNetwork" | "sshPort" | "cluster"> {
  readonly url: string;
  readonly metricsUrl: string | undefined;
  readonly home: string;
  readonly usersDirectory: string | undefined;
  readonly runtime: Runtime;
  running(): Promise<readonly string[]>;
  /** Returns a new link that logs a browser in as the local user, once and within a minute. */
  loginLink(): Promise<string>;
  /** Ends the server, the loops and every environment of this machine, in less than 2 s. */
  stop(): Promise<void>;
  leave(): Promise<void>;
}

export async function startStack(options: StackOptions): Promise<Stack> {
  const { environment = {}, log = jsonLog(), onNews, catalog, isolation, signal = neverAborted } = options;
  // The credential plugin of a cluster may need the AWS variables.
  const programEnvironment = { ...environment };
  dropAwsEnvironment();
  const config = readConfigOf(allSettingSchemas, settingsOfStack, environment);
  const settings = readSettings({ ...environment, SCHEME: environment.SCHEME || "http" });
  const hasDomain = Boolean(environment.DOMAIN);
  if (settings.open && config.LOCAL_USERS.length > 0) throw new Error(opensToAll);
  const nodes = parseNodes(config.LOCAL_NODES);
  const home = openHome(config.BERTH_HOME);
  const programs = findPrograms(config.LOCAL_PATH || environment.PATH || "", home.path);
  const parts: Stoppable[] = [{ stop: async () => home.release() }];
  try {
    // Webhook receivers run on the laptop by default. If several users share it, the loopback is closed, because
    // webhooks could reach services of others.
    const usual = config.LOCAL_USERS.length > 0 ? [] : loopback;
    const webhookAllow = environment.WEBHOOK_ALLOW ? config.WEBHOOK_ALLOW : usual;
    return await startParts({
      config: { ...config, nodes, programs, webhookAllow, hasDomain },
      environment: programEnvironment,
      settings,
      home,
      log,
      onNews,
      catalog,
      isolation,
      parts,
      signal,
    });
  } catch (error) {
    await stopAll(parts);
    throw error;
  }
}

const neverAborted = new AbortController().signal;

/** Through a tunnel every visitor comes from this machine. */
const opensToAll = "BERTH_OPEN=1 serves everybody as developer without a key: set it, or LOCAL_USERS, but not both.";

const settingsOfStack = [
  "BERTH_HOME",
  "PORT",
  "LOCAL_NODES",
  "LOCAL_PATH",
  "METRICS_PORT",
  "SSH_PORT",
  "GITHUB_KEYS_URL",
  "WEBHOOK_ALLOW",
  "LOCAL_USERS",
  "SHARE_WITHOUT_MEMORY_LIMIT",
  "COMPUTE",
  "KUBECONFIG",
  "KUBE_CONTEXT",
  "MACHINE_TYPES",
  "NODE_TYPES",
  "NODE_TOLERATIONS",
  ...podSettingNames,
  "TOOLS_IMAGE",
  "CLUSTER_SSH",
  "INGRESS_CLASS",
  "INGRESS_ANNOTATIONS",
] as const;

const loopback = ["localhost", "127.0.0.0/8", "::1"];

async function startParts(start: StackStart): Promise<Stack> {
  const { config, settings, home, parts } = start;
  const { path } = home;
  const identities = localIdentities(path, config.LOCAL_USERS);
  const records = await openRecords(start);
  const [sts, functions] = await Promise.all([
    startStsAgain(identities, home.earlier?.stsUrl),
    start.catalog ?? loadCatalog(),
  ]);
  parts.push(sts);
  const blobs = join(path, "blobs");
  const environments = await (config.COMPUTE === "kubernetes"
    ? environmentsOnCluster(start, blobs)
    : environmentsOnMachine(start, blobs));
  const runtime = stackRuntime({ ...start, ...records, stsUrl: sts.endpoint, blobs, environments });
  await environments.adopt(createContext(runtime));
  const metrics = await startMetrics(runtime, functions, config.METRICS_PORT);
  if (metrics) parts.push(metrics);
  const opensTo = settings.open ? await localUser(createContext(runtime), identities[0]) : undefined;
  const { server, served } = await startApi(start, runtime, functions, environments, opensTo);
  parts.push(server);
  const addresses = { url: server.url, stsUrl: sts.endpoint };
  const usersDirectory = writeUserFiles(path, identities.slice(2), addresses);
  home.writeRecord({ ...addresses, stopped: false });
  // This process owns the home, so an earlier watcher has gone.
  await releaseWatcherLease(createContext(served));
  const loops = startLoops(served, records.stores, functions);
  // From here on, the server stops together with the loops.
  parts.pop();
  const stopWith = (end: "shutdown" | "leave") =>
    stopStack(start, addresses, [
      server,
      ...loops,
      // Under load, a starting run takes seconds to end. If the stop gave up before, the run would outlive the stack.
      { patienceMs: 10_000, stop: () => environments[end]() },
    ]);
  const { isolation, limits, sharedNetwork, sshPort, cluster } = environments;
  return {
    isolation,
    limits,
    sharedNetwork,
    sshPort,
    cluster,
    url: server.url,
    metricsUrl: metrics?.url,
    home: path,
    usersDirectory,
    runtime: served,
    loginLink: () => loginLink(createContext(served), identities[0], served.deployment.consoleUrl ?? ""),
    running: () => runningNames(createContext(served), environments.compute),
    stop: () => stopWith("shutdown"),
    leave: () => stopWith("leave"),
  };
}

/** Opens the records and messages, and the file with the key that seals secrets in them. */
async function openRecords({ home: { path }, settings, onNews, parts }: StackStart) {
  const clock = systemClock();
  const stores = openStores(path, clock);
  parts.push(stores);
  const { table } = stores;
  const keyFile = await sealingKey({ table, ids: systemIds() }, path);
  if (!onNews) return { clock, stores, keyFile };
  const waits = createWaits({ table, clock }, settings);
  return { clock, stores: { ...stores, table: tableWithNews(table, clock.now(), waits, onNews) }, keyFile };
}

/** Serves the internal endpoints on their own port, because they ask for no key. Does nothing unless a port is set. */
async function startMetrics(runtime: Runtime, { internal }: Catalog, port: number | undefined) {
  if (port === undefined) return undefined;
  const server = await startServer(() => runtime, internal, { port, setting: "METRICS_PORT" });
  runtime.log.info("metrics", { url: `${server.url}/metrics` });
  return server;
}

async function startApi(
  { config: { PORT: port, hasDomain } }: StackStart,
  runtime: Runtime,
  { endpoints, sockets }: Catalog,
  { reach, getUse }: Environments,
  opensTo: Runtime["localUser"],
) {
  const servedAt = (port: number) => withConsole(hasDomain ? runtime : withPort(runtime, port), port);
  const server = await startServer((port) => ({ ...servedAt(port), localUser: opensTo }), endpoints, {
    port,
    setting: "PORT",
    sockets,
    ways: { reach, connect: countedPages(connectLocally, getUse) },
  });
  return { server, served: servedAt(Number(new URL(server.url).port)) };
}

/**
 * Gives the console its own host. Browsers keep cookies by host and not by port, so programs at localhost do not get
 * the cookie of a session. A program that a browser opens at another port of berth.localhost does get it.
 */
function withConsole(runtime: Runtime, port: number): Runtime {
  return { ...runtime, deployment: { ...runtime.deployment, consoleUrl: `http://berth.localhost:${port}/` } };
}

/** If DOMAIN is not set, the addresses of pages contain the port of the server. */
function withPort(runtime: Runtime, port: number): Runtime {
  const { settings } = runtime;
  return { ...runtime, settings: { ...settings, domain: `${settings.domain}:${port}` } };
}

function startLoops(runtime: Runtime, { queue }: Stores, { consumers, schedules }: Catalog): Loop[] {
  const ctx = createContext(runtime);
  return [
    ...consumers.map(({ declaration }) =>
      startLoop(declaration, { receiver: queue, ctx, atOnce: batchesAtOnce[declaration.queue] }),
    ),
    ...schedules.map(({ declaration, name }) => startTimer(declaration, { name, ctx })),
  ];
}

/** Stops the running parts at once, then the others, and records whether all stopped. */
async function stopStack(
  { home, log, parts }: StackStart,
  addresses: Pick<StackRecord, "url" | "stsUrl">,
  running: readonly Stoppable[],
): Promise<void> {
  const stopped = await stopAll([...parts.slice(1), together(running)]);
  try {
    home.writeRecord({ ...addresses, stopped });
  } catch (error) {
    log.warn("stop not noted", { error: String(error) });
  }
  home.release();
}

/** Prefers the previous port, so that an open shell keeps working. */
async function startStsAgain(identities: readonly LocalIdentity[], earlierUrl: string | undefined): Promise<Sts> {
  if (earlierUrl === undefined) return startSts({ identities });
  return startSts({ identities, port: Number(new URL(earlierUrl).port) }).catch(() => startSts({ identities }));
}
