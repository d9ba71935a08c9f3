import { join } from "node:path";
import { systemClock } from "#aws/clock.ts";
import { systemIds } from "#aws/ids.ts";
import { jsonLog } from "#aws/log.ts";
import { readConfig } from "#aws/settings/config.ts";
import { readSettings } from "#aws/settings/settings.ts";
import { releaseWatcherLease } from "#core/reconciler/watcher-lease.ts";
import { type Catalog, loadCatalog } from "#http/catalog.ts";
import { createContext, type Runtime } from "#http/runtime.ts";
import { findPrograms } from "#process/sandbox/local-path.ts";
import { tableWithNews } from "./activity/activity-log.ts";
import { createWaits } from "./activity/queue-activity.ts";
import type { ClusterDescription } from "./environments.ts";
import { openHome } from "./home/home.ts";
import { parseNodes } from "./home/nodes.ts";
import { runningNames } from "./home/running-names.ts";
import { sealingKey } from "./home/sealing-key.ts";
import { openStores, type Stores } from "./home/stores.ts";
import { dropAwsEnvironment } from "./identity/aws-environment.ts";
import { type LocalIdentity, localIdentities } from "./identity/identities.ts";
import { localUser } from "./identity/local-user.ts";
import { type Sts, startSts } from "./identity/sts.ts";
import { batchesAtOnce, type Loop, startLoop } from "./loops.ts";
import { startMetrics } from "./metrics.ts";
import { startServer } from "./server/server.ts";
import { writeUserFiles } from "./ssh/login/user-files.ts";
import { environmentsOnCluster, environmentsOnMachine } from "./stack-environments.ts";
import { stackRuntime } from "./stack-runtime.ts";
import type { StackOptions, StackStart } from "./stack-start.ts";
import { type Stoppable, stopAll, together } from "./stoppable.ts";
import { startTimer } from "./timers.ts";

export interface Stack {
  readonly url: string;
  readonly metricsUrl: string | undefined;
  readonly home: string;
  readonly usersDirectory: string | undefined;
  readonly isolation: string;
  readonly limits: string;
  /** Why environments share this machine's network. If undefined, they do not, or isolation is off. */
  readonly sharedNetwork: string | undefined;
  readonly sshPort: number | undefined;
  /** If undefined, environments run on this machine and end with the stack. */
  readonly cluster: ClusterDescription | undefined;
  readonly runtime: Runtime;
  running(): Promise<readonly string[]>;
  /** Ends the server, the loops and every environment of this machine, in less than 2 s. */
  stop(): Promise<void>;
  leave(): Promise<void>;
}

export async function startStack(options: StackOptions): Promise<Stack> {
  const { environment = {}, log = jsonLog(), onNews, catalog, isolation, signal = neverAborted } = options;
  // The credential plugin of a cluster may need the AWS variables.
  const programEnvironment = { ...environment };
  dropAwsEnvironment();
  const config = readConfig(settingsOfStack, environment);
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
  "NODE_TYPES",
  "TOOLS_IMAGE",
  "CLUSTER_SSH",
  "INGRESS_CLASS",
  "INGRESS_ANNOTATIONS",
] as const;

const loopback = ["localhost", "127.0.0.0/8", "::1"];

async function startParts(start: StackStart): Promise<Stack> {
  const { config, settings, home, log, onNews, catalog, parts } = start;
  const { earlier, path } = home;
  const identities = localIdentities(path, config.LOCAL_USERS);
  const clock = systemClock();
  const opened = openStores(path, clock);
  parts.push(opened);
  const keyFile = await sealingKey({ table: opened.table, ids: systemIds() }, path);
  const waits = createWaits({ table: opened.table, clock }, settings);
  const stores = onNews ? { ...opened, table: tableWithNews(opened.table, clock.now(), waits, onNews) } : opened;
  const [sts, functions] = await Promise.all([startStsAgain(identities, earlier?.stsUrl), catalog ?? loadCatalog()]);
  parts.push(sts);
  const blobs = join(path, "blobs");
  const environments = await (config.COMPUTE === "kubernetes"
    ? environmentsOnCluster(start, blobs)
    : environmentsOnMachine(start, blobs));
  const runtime = stackRuntime({
    clock,
    stores,
    stsUrl: sts.endpoint,
    settings,
    log,
    config,
    blobs,
    environments,
    keyFile,
  });
  await environments.adopt(createContext(runtime));
  const metrics = await startMetrics(runtime, functions, config.METRICS_PORT);
  if (metrics) parts.push(metrics);
  const opensTo = settings.open ? await localUser(createContext(runtime), identities[0]) : undefined;
  const servedAt = (port: number) => ({ ...withDomain(runtime, port, config.hasDomain), localUser: opensTo });
  const server = await startServer(servedAt, functions.endpoints, {
    port: config.PORT,
    setting: "PORT",
    sockets: functions.sockets,
    pages: true,
  });
  const served = withDomain(runtime, Number(new URL(server.url).port), config.hasDomain);
  parts.push(server);
  const record = { url: server.url, stsUrl: sts.endpoint };
  const usersDirectory = writeUserFiles(path, identities.slice(2), record);
  home.writeRecord({ ...record, stopped: false });
  // This process owns the home, so an earlier watcher has gone.
  await releaseWatcherLease(createContext(served));
  const loops = startLoops(served, stores, functions);
  parts.pop();
  const stopWith = async (end: "shutdown" | "leave") => {
    const running = together([server, ...loops, { stop: () => environments[end]() }]);
    const stopped = await stopAll([...parts.slice(1), running]);
    try {
      home.writeRecord({ ...record, stopped });
    } catch (error) {
      log.warn("stop not noted", { error: String(error) });
    }
    home.release();
  };
  return {
    url: server.url,
    metricsUrl: metrics?.url,
    home: path,
    usersDirectory,
    isolation: environments.isolation,
    limits: environments.limits,
    sharedNetwork: environments.sharedNetwork,
    sshPort: environments.sshPort,
    cluster: environments.cluster,
    runtime: served,
    running: () => runningNames(createContext(served), environments.compute),
    stop: () => stopWith("shutdown"),
    leave: () => stopWith("leave"),
  };
}

function withDomain(runtime: Runtime, port: number, hasDomain: boolean): Runtime {
  const { settings } = runtime;
  return hasDomain ? runtime : { ...runtime, settings: { ...settings, domain: `${settings.domain}:${port}` } };
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

/** Prefers the previous port, so that an open shell keeps working. */
async function startStsAgain(identities: readonly LocalIdentity[], earlierUrl: string | undefined): Promise<Sts> {
  if (earlierUrl === undefined) return startSts({ identities });
  return startSts({ identities, port: Number(new URL(earlierUrl).port) }).catch(() => startSts({ identities }));
}
