import { join } from "node:path";
import { systemClock } from "#aws/clock.ts";
import { type Config, type Environment, readConfig } from "#aws/config.ts";
import { directoryBlobs } from "#aws/directory-blobs.ts";
import { guardedFetch } from "#aws/fetch.ts";
import { httpGithubKeys } from "#aws/github-keys.ts";
import { stsIdentity } from "#aws/identity.ts";
import { systemIds } from "#aws/ids.ts";
import { keyFileSealer } from "#aws/key-file-sealer.ts";
import { jsonLog } from "#aws/log.ts";
import { readSettings } from "#aws/settings.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { Log } from "#core/ports/log.ts";
import { freeWatch } from "#core/watch.ts";
import { type Catalog, loadCatalog } from "#http/catalog.ts";
import type { ServedSettings } from "#http/dialects/settings.ts";
import { keyMemory } from "#http/key-check.ts";
import { contextOf, type Runtime } from "#http/runtime.ts";
import { version } from "#http/version.ts";
import { findControlGroups } from "#process/control-groups.ts";
import { findIsolation } from "#process/isolation-probe.ts";
import { findLimits } from "#process/limits.ts";
import { type Programs, programsOf } from "#process/local-path.ts";
import { findLocking } from "#process/lock.ts";
import { processVolumes } from "#process/volumes.ts";
import { dropAwsEnvironment } from "./aws-environment.ts";
import { exposureOf } from "./cluster-exposure.ts";
import { requireMachine } from "./cluster-home.ts";
import { type News, tableWithNews } from "./environment-news.ts";
import type { ClusterWords, Environments } from "./environments.ts";
import { type Home, openHome } from "./home.ts";
import { type LocalIdentity, localAccount, localIdentities } from "./identities.ts";
import { localUser } from "./local-user.ts";
import { type Loop, messagesAtOnce, startLoop } from "./loops.ts";
import { machineEnvironments } from "./machine-environments.ts";
import { machineSshRuns } from "./machine-ssh.ts";
import { startMetrics } from "./metrics.ts";
import { parseNodes } from "./nodes.ts";
import { runningNames } from "./running-names.ts";
import { sealingKey } from "./sealing-key.ts";
import { startServer } from "./server.ts";
import { type SshServer, startSsh } from "./ssh.ts";
import type { SshRuns } from "./ssh-runs.ts";
import { openStores, type Stores } from "./stores.ts";
import { type Sts, startSts } from "./sts.ts";
import { startTimer } from "./timers.ts";
import { writeUserFiles } from "./user-files.ts";
import { waitsOf } from "./waiting-news.ts";

export interface StackOptions {
  /** The settings, as in the environment; those of AWS itself are not looked at. */
  readonly environment?: Environment;
  readonly log?: Log;
  /** Is told of whatever happens to an environment from now on. */
  readonly onNews?: ((news: News) => void) | undefined;
  /** What is served; the functions of this project when not given. */
  readonly catalog?: Catalog;
  /** How environments can be kept apart here, where that is being tried already. */
  readonly isolation?: Promise<Isolated> | undefined;
  /** Ends a start that waits for another stack; one that is done is stopped by `stop`. */
  readonly signal?: AbortSignal;
}

type Isolated = Awaited<ReturnType<typeof findIsolation>>;

export interface Stack {
  readonly url: string;
  /** Where /metrics is served, if it is. */
  readonly metricsUrl: string | undefined;
  readonly home: string;
  /** Where the credentials of LOCAL_USERS are, if there are any. */
  readonly usersDirectory: string | undefined;
  readonly isolation: string;
  readonly limits: string;
  /** Undefined: environments run on this machine, and end with the stack. */
  readonly cluster: ClusterWords | undefined;
  readonly runtime: Runtime;
  /** What runs now, by owner and name: `developer/my-train`. */
  running(): Promise<readonly string[]>;
  /** Ends the server, the loops and every environment of this machine, in less than 2 s. */
  stop(): Promise<void>;
}

/**
 * The whole system in this process (docs/architecture.md#the-embedded-stack). Throws when its home or its port is
 * taken.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { environment = {}, log = jsonLog(), onNews, catalog, isolation, signal = neverAborted } = options;
  // A program that gives out tokens of a cluster may need those of AWS.
  const given = { ...environment };
  dropAwsEnvironment();
  const config = readConfig(settingsOfStack, environment);
  const settings = readSettings({ ...environment, SCHEME: environment.SCHEME || "http" });
  const hasDomain = Boolean(environment.DOMAIN);
  if (settings.open && config.LOCAL_USERS.length > 0) throw new Error(opensToAll);
  const nodes = parseNodes(config.LOCAL_NODES);
  const home = openHome(config.BERTH_HOME);
  const programs = programsOf(config.LOCAL_PATH || environment.PATH || "", home.path);
  const parts: Stoppable[] = [{ stop: async () => home.release() }];
  try {
    // Receivers of a laptop are on the laptop, unless it is said where they are; not on one that several people share,
    // where one could reach through them what the others serve.
    const usual = config.LOCAL_USERS.length > 0 ? [] : loopback;
    const webhookAllow = environment.WEBHOOK_ALLOW ? config.WEBHOOK_ALLOW : usual;
    return await startParts({
      config: { ...config, nodes, programs, webhookAllow, hasDomain },
      environment: given,
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

/** Through a tunnel everybody is on this machine. */
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

interface Stoppable {
  stop(): Promise<void>;
}

interface Plan {
  readonly config: {
    readonly PORT: number;
    readonly METRICS_PORT?: number | undefined;
    readonly SSH_PORT?: number | undefined;
    readonly GITHUB_KEYS_URL: string;
    readonly LOCAL_USERS: readonly string[];
    readonly COMPUTE: "process" | "kubernetes";
    readonly KUBECONFIG?: string | undefined;
    readonly KUBE_CONTEXT?: string | undefined;
    readonly NODE_TYPES: Config["NODE_TYPES"];
    readonly TOOLS_IMAGE?: string | undefined;
    readonly CLUSTER_SSH: Config["CLUSTER_SSH"];
    readonly INGRESS_CLASS?: string | undefined;
    readonly INGRESS_ANNOTATIONS?: Config["INGRESS_ANNOTATIONS"];
    readonly nodes: ReturnType<typeof parseNodes>;
    readonly programs: Programs;
    readonly webhookAllow: readonly string[];
    /** Else environments have their addresses where this stack listens. */
    readonly hasDomain: boolean;
  };
  readonly environment: Environment;
  readonly settings: ServedSettings;
  readonly home: Home;
  readonly log: Log;
  readonly onNews: StackOptions["onNews"];
  readonly catalog: Catalog | undefined;
  readonly isolation: StackOptions["isolation"];
  /** In the order they were started in. */
  readonly parts: Stoppable[];
  readonly signal: AbortSignal;
}

async function startParts(plan: Plan): Promise<Stack> {
  const { config, settings, home, log, onNews, catalog, parts } = plan;
  const { earlier, path } = home;
  const identities = localIdentities(path, config.LOCAL_USERS);
  const clock = systemClock();
  const opened = openStores(path, clock);
  parts.push(opened);
  const keyFile = await sealingKey({ table: opened.table, ids: systemIds() }, path);
  const waits = waitsOf({ table: opened.table, clock }, settings);
  const stores = onNews ? { ...opened, table: tableWithNews(opened.table, clock.now(), waits, onNews) } : opened;
  const [sts, functions] = await Promise.all([startStsAgain(identities, earlier?.stsUrl), catalog ?? loadCatalog()]);
  parts.push(sts);
  const blobs = join(path, "blobs");
  const environments = await (config.COMPUTE === "kubernetes" ? onCluster(plan, blobs) : onMachine(plan, blobs));
  const runtime = localRuntime({
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
  await environments.adopt(contextOf(runtime));
  const metrics = await startMetrics(runtime, functions, config.METRICS_PORT);
  if (metrics) parts.push(metrics);
  const opensTo = settings.open ? await localUser(contextOf(runtime), identities[0]) : undefined;
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
  // The home is this process's alone: whoever followed the changes before is gone.
  await freeWatch(contextOf(served));
  const loops = startLoops(served, stores, functions);
  parts.pop();
  parts.push(together([server, ...loops, { stop: () => environments.shutdown() }]));
  const stop = async () => {
    const stopped = await stopAll(parts.slice(1));
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
    cluster: environments.cluster,
    runtime: served,
    running: () => runningNames(contextOf(served), environments.compute),
    stop,
  };
}

/** Loaded where it is wanted: the driver of a cluster would be a part of every start. */
async function onCluster(plan: Plan, blobs: string): Promise<Environments> {
  const { config, environment, home, log, parts, settings, signal } = plan;
  const exposure = exposureOf(config, config.hasDomain ? settings.domain : undefined);
  const { clusterEnvironments } = await import("./cluster-environments.ts");
  const { KUBECONFIG: kubeconfig, KUBE_CONTEXT: context, NODE_TYPES: nodeTypes } = config;
  const cluster = { kubeconfig, context, environment, nodeTypes, log, toolsImage: config.TOOLS_IMAGE };
  const where = { home: home.path, isUsed: home.earlier !== undefined };
  const kept = { blobs: directoryBlobs(blobs), watchesGpus: settings.idleGpuMinutes !== undefined };
  const whenStopped = (stop: () => Promise<void>) => parts.push({ stop });
  const startSsh = (runs: SshRuns) => startSshOf(plan, runs);
  return clusterEnvironments({ ...where, ...cluster, ...kept, exposure, signal, whenStopped, startSsh });
}

async function startSshOf({ config, home: { path }, log, parts }: Plan, runs: SshRuns): Promise<SshServer> {
  const ssh = await startSsh({ home: path, runs, port: config.SSH_PORT, log });
  parts.push(ssh);
  return ssh;
}

async function onMachine(plan: Plan, blobs: string): Promise<Environments> {
  const { config, home, log, isolation } = plan;
  const { path } = home;
  requireMachine(path);
  const trying = isolation ?? findIsolation();
  const ssh = await startSshOf(plan, machineSshRuns(path));
  // Other processes try how environments are kept apart: what this one can do meanwhile is done before they are asked.
  const volumes = processVolumes({ home: path, blobs, log });
  const [locking, groups] = [findLocking(), findControlGroups()];
  const isolated = await trying;
  const limits = findLimits(isolated.isolation, groups);
  const nodes = { home: path, nodes: config.nodes, programs: config.programs };
  const entry = { sshPort: ssh.port, sshHostKey: ssh.hostKey };
  return machineEnvironments(volumes, { ...nodes, ...entry, locking, limits, ...isolated });
}

/** Environments have their addresses where this stack listens, unless it was told another domain. */
function withDomain(runtime: Runtime, port: number, hasDomain: boolean): Runtime {
  const { settings } = runtime;
  return hasDomain ? runtime : { ...runtime, settings: { ...settings, domain: `${settings.domain}:${port}` } };
}

interface RuntimeParts {
  readonly clock: Clock;
  readonly stores: Stores;
  readonly stsUrl: string;
  readonly settings: ServedSettings;
  readonly log: Log;
  readonly config: Plan["config"];
  readonly blobs: string;
  readonly environments: Environments;
  /** Holds the key for what is sealed. */
  readonly keyFile: string;
}

function localRuntime(parts: RuntimeParts) {
  const { clock, stores, stsUrl, settings, log, config, blobs, environments, keyFile } = parts;
  const { compute, volumes, isolation, limits } = environments;
  const { table, queue, whyNothingIsStored } = stores;
  const identity = stsIdentity({ endpoint: stsUrl, region: "us-east-1" });
  const allowedAccounts = settings.allowedAccounts.length > 0 ? settings.allowedAccounts : [localAccount];
  return {
    ports: {
      table,
      queue,
      compute,
      volumes,
      identity,
      blobs: directoryBlobs(blobs),
      sealer: keyFileSealer(keyFile),
      githubKeys: httpGithubKeys(config.GITHUB_KEYS_URL),
      fetch: guardedFetch({ allow: config.webhookAllow }),
    },
    clock,
    keys: keyMemory(),
    ids: systemIds(),
    log,
    settings: { ...settings, allowedAccounts, stsOrigins: [stsUrl] },
    deployment: {
      version,
      startedAt: clock.now(),
      whyNothingIsStored,
      isolation,
      limits,
    },
  } satisfies Runtime;
}

function startLoops(runtime: Runtime, { queue }: Stores, { consumers, schedules }: Catalog): Loop[] {
  const ctx = contextOf(runtime);
  return [
    ...consumers.map(({ thing }) => startLoop(thing, { receiver: queue, ctx, atOnce: messagesAtOnce[thing.queue] })),
    ...schedules.map(({ thing, name }) => startTimer(thing, { name, ctx })),
  ];
}

/** On the port that it had before if that is free, so that a shell that still knows it goes on working. */
async function startStsAgain(identities: readonly LocalIdentity[], earlierUrl: string | undefined): Promise<Sts> {
  if (earlierUrl === undefined) return startSts({ identities });
  return startSts({ identities, port: Number(new URL(earlierUrl).port) }).catch(() => startSts({ identities }));
}

/** The last one first; one that fails or hangs does not keep the others. Answers whether all ended in good order. */
async function stopAll(parts: readonly Stoppable[]): Promise<boolean> {
  let isInOrder = true;
  for (const part of parts.toReversed()) isInOrder = (await stopOne(part)) && isInOrder;
  return isInOrder;
}

function together(parts: readonly Stoppable[]): Stoppable {
  return {
    async stop() {
      const ended = await Promise.all(parts.map(stopOne));
      if (ended.includes(false)) throw new Error("Some of it did not end");
    },
  };
}

const patienceMs = 1_500;

async function stopOne(part: Stoppable): Promise<boolean> {
  const ended = part.stop().then(
    () => true,
    () => false,
  );
  return Promise.race([ended, new Promise<false>((resolve) => setTimeout(resolve, patienceMs, false).unref())]);
}
