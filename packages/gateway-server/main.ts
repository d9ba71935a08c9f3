import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "#aws/clock.ts";
import { dynamoClient, dynamoTable } from "#aws/dynamodb/table.ts";
import { systemIds } from "#aws/ids.ts";
import { jsonLog } from "#aws/log.ts";
import type { Log } from "#core/ports/log.ts";
import { tableDirectory } from "#gateway/directory/table-directory.ts";
import { createContext, type Runtime } from "#http/runtime.ts";
import { version } from "#http/version.ts";
import { clusterReach } from "./cluster.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { readHostKeys } from "./host-keys.ts";
import { type GatewaySettings, readGatewaySettings } from "./settings.ts";
import { allowedSources } from "./sources.ts";

/**
 * Three attempts of a read end within 6 s. OpenSSH's client offers its keys one after another, and each needs a read
 * within the 30 s of a login.
 */
const patience = { connectMs: 2_000, answerMs: 2_000 };

/** The gateway of a cluster. SIGTERM drains it, and a second signal ends it at once. */
const log = jsonLog();
try {
  const settings = readGatewaySettings(process.env);
  const gateway = await start(settings, log);
  endOnSignals(gateway, settings.drainSeconds, log);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}

async function start(settings: GatewaySettings, log: Log): Promise<Gateway> {
  const [hostKey, ...nextKeys] = await readHostKeys(settings.hostKeyFile);
  const { reach, connect, close } = await clusterReach(settings, process.env, log);
  const runtime = createRuntime(settings, log);
  const gateway = await startGateway({
    runtime,
    reach,
    connect,
    directory: tableDirectory(createContext(runtime)),
    hostKey: hostKey.private,
    sshPort: settings.sshPort,
    webPort: settings.webPort,
    isAllowed: allowedSources(settings.allowedSources),
  }).catch((error: unknown) => {
    close();
    throw error;
  });
  const { sshPort, webPort } = gateway;
  log.info("gateway started", { version, sshPort, webPort, hostKey: hostKey.public, nextKeys: nextKeys.length });
  return gateway;
}

function createRuntime({ tableName, served }: GatewaySettings, log: Log): Runtime<"table"> {
  const clock = systemClock();
  const table = dynamoTable({ client: dynamoClient(undefined, patience), tableName });
  const deployment = { version, startedAt: clock.now(), isolation: "container", limits: "container (memory, cpu)" };
  return { ports: { table }, clock, ids: systemIds(), log, settings: served, deployment };
}

function endOnSignals(gateway: Gateway, drainSeconds: number, log: Log): void {
  let isEnding = false;
  const end = async (signal: NodeJS.Signals) => {
    if (isEnding) process.exit(1);
    isEnding = true;
    const drained = gateway.drain().then(() => true);
    log.info("gateway draining", { signal, drainSeconds });
    const isDrained = await Promise.race([drained, sleep(drainSeconds * 1000, false)]);
    await gateway.stop();
    log.info("gateway ended", { isDrained });
    process.exit(0);
  };
  process.on("SIGTERM", end).on("SIGINT", end);
}
