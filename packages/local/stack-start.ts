import type { Config, Environment } from "#aws/settings/config.ts";
import type { Log } from "#core/ports/log.ts";
import type { Catalog } from "#http/catalog.ts";
import type { ServedSettings } from "#http/dialects/settings.ts";
import type { findIsolation } from "#process/sandbox/isolation-probe.ts";
import type { Programs } from "#process/sandbox/local-path.ts";
import type { News } from "./activity/activity-log.ts";
import type { Home } from "./home/home.ts";
import type { parseNodes } from "./home/nodes.ts";
import type { Stoppable } from "./stoppable.ts";

export interface StackOptions {
  /**
   * The settings, as environment variables. The stack uses none of AWS: only the program that gets tokens for a cluster
   * is started with them.
   */
  readonly environment?: Environment;
  readonly log?: Log;
  /** Is told of whatever happens to an environment from now on. */
  readonly onNews?: ((news: News) => void) | undefined;
  /** What is served; the functions of this project when not given. */
  readonly catalog?: Catalog;
  /** A probe of the sandbox that was begun earlier, so that the start waits less for it. */
  readonly isolation?: Promise<Isolated> | undefined;
  /** Aborts a start that waits for another stack. A stack that has started is ended by `stop`. */
  readonly signal?: AbortSignal;
}

type Isolated = Awaited<ReturnType<typeof findIsolation>>;

/** What a stack is started from: its settings as read, its home, and the parts that run already. */
export interface StackStart {
  readonly config: {
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
    readonly TOOLS_IMAGE?: string | undefined;
    readonly CLUSTER_SSH: Config["CLUSTER_SSH"];
    readonly INGRESS_CLASS?: string | undefined;
    readonly INGRESS_ANNOTATIONS?: Config["INGRESS_ANNOTATIONS"];
    readonly nodes: ReturnType<typeof parseNodes>;
    readonly programs: Programs;
    readonly webhookAllow: readonly string[];
    /** Whether DOMAIN is set. Without it, addresses of environments are below the address where this stack listens. */
    readonly hasDomain: boolean;
  };
  /** The environment variables that the stack was started with. */
  readonly environment: Environment;
  readonly settings: ServedSettings;
  readonly home: Home;
  readonly log: Log;
  readonly onNews: StackOptions["onNews"];
  readonly catalog: Catalog | undefined;
  readonly isolation: StackOptions["isolation"];
  /** What was started or opened so far, the home first. A stop ends them in reverse. */
  readonly parts: Stoppable[];
  readonly signal: AbortSignal;
}
