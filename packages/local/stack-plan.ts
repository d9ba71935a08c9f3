import type { Config, Environment } from "#aws/config.ts";
import type { Log } from "#core/ports/log.ts";
import type { Catalog } from "#http/catalog.ts";
import type { ServedSettings } from "#http/dialects/settings.ts";
import type { findIsolation } from "#process/isolation-probe.ts";
import type { Programs } from "#process/local-path.ts";
import type { News } from "./environment-news.ts";
import type { Home } from "./home.ts";
import type { parseNodes } from "./nodes.ts";
import type { Stoppable } from "./stoppable.ts";

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

/** What a stack is started with: its settings as read, its home, and the parts that run already. */
export interface StackPlan {
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
