import type { Config, Environment } from "#aws/settings/config.ts";
import type { PodConfig } from "#aws/settings/pod-settings.ts";
import type { Log } from "#core/ports/log.ts";
import type { Catalog } from "#http/catalog.ts";
import type { ServedSettings } from "#http/dialects/settings.ts";
import type { Programs } from "#process/sandbox/local-path.ts";
import type { findIsolation } from "#process/sandbox/sandbox-probe.ts";
import type { News } from "./activity/activity-log.ts";
import type { Home } from "./home/home.ts";
import type { parseNodes } from "./home/nodes.ts";

export interface StackOptions {
  /** Settings, as environment variables. Only the credential plugin of a cluster gets the AWS ones. */
  readonly environment?: Environment;
  readonly log?: Log;
  readonly onNews?: ((news: News) => void) | undefined;
  readonly catalog?: Catalog;
  /** A probe of the sandbox that was begun earlier, so that the start waits less for it. */
  readonly isolation?: Promise<Isolated> | undefined;
  readonly signal?: AbortSignal;
}

type Isolated = Awaited<ReturnType<typeof findIsolation>>;

export interface StackStart {
  readonly config: PodConfig & {
    readonly PORT: number;
    readonly METRICS_PORT?: number | undefined;
    readonly SSH_PORT?: number | undefined;
    readonly GITHUB_KEYS_URL: string;
    readonly LOCAL_USERS: readonly string[];
    readonly SHARE_WITHOUT_MEMORY_LIMIT: "0" | "1";
    readonly COMPUTE: "process" | "kubernetes";
    readonly KUBECONFIG?: string | undefined;
    readonly KUBE_CONTEXT?: string | undefined;
    readonly NODE_TYPES: Config["NODE_TYPES"];
    readonly NODE_TOLERATIONS: Config["NODE_TOLERATIONS"];
    readonly TOOLS_IMAGE?: string | undefined;
    readonly CLUSTER_SSH: Config["CLUSTER_SSH"];
    readonly INGRESS_CLASS?: string | undefined;
    readonly INGRESS_ANNOTATIONS?: Config["INGRESS_ANNOTATIONS"];
    readonly nodes: ReturnType<typeof parseNodes>;
    readonly programs: Programs;
    readonly webhookAllow: readonly string[];
    readonly hasDomain: boolean;
  };
  readonly environment: Environment;
  readonly settings: ServedSettings;
  readonly home: Home;
  readonly log: Log;
  readonly onNews: StackOptions["onNews"];
  readonly catalog: Catalog | undefined;
  readonly isolation: StackOptions["isolation"];
  /** Parts to stop in reverse order. The home is first. */
  readonly parts: Stoppable[];
  readonly signal: AbortSignal;
}

export interface Stoppable {
  /** The longest time to wait for its stop. The default is 1.5 s. */
  readonly patienceMs?: number;
  stop(): Promise<void>;
}

/** Stops the parts in reverse order, even if one fails or hangs. Returns whether all stopped cleanly. */
export async function stopAll(parts: readonly Stoppable[]): Promise<boolean> {
  let isInOrder = true;
  for (const part of parts.toReversed()) isInOrder = (await stopOne(part)) && isInOrder;
  return isInOrder;
}

export function together(parts: readonly Stoppable[]): Stoppable {
  return {
    patienceMs: Math.max(0, ...parts.map(getPatience)) + 500,
    async stop() {
      const ended = await Promise.all(parts.map(stopOne));
      if (ended.includes(false)) throw new Error("Some parts did not stop");
    },
  };
}

const getPatience = ({ patienceMs = 1_500 }: Stoppable) => patienceMs;

async function stopOne(part: Stoppable): Promise<boolean> {
  const ended = part.stop().then(
    () => true,
    () => false,
  );
  return Promise.race([ended, new Promise<false>((resolve) => setTimeout(resolve, getPatience(part), false).unref())]);
}
