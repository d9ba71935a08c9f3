import { pageSize, readPages } from "./pages.ts";
import type { components } from "./schema.ts";
import type { CallOptions, Transport } from "./transport.ts";

type Schemas = components["schemas"];

interface ListAllJobsOptions extends CallOptions {
  readonly status?: readonly Schemas["JobStatus"][] | undefined;
  readonly user?: string | undefined;
}

interface ReasonOptions extends CallOptions {
  /** Why it is closed, for `state`. Opening again needs none. */
  readonly reason?: string | undefined;
}

interface DrainOptions extends ReasonOptions {
  /** When to drain it, RFC 3339. At once by default. */
  readonly at?: string | undefined;
  /** Only the machines in this zone. */
  readonly zone?: string | undefined;
  /** Only the machines of this node group of EKS. */
  readonly nodeGroup?: string | undefined;
  /** Only the machine of this name. */
  readonly node?: string | undefined;
}

interface PoolOptions extends CallOptions {
  readonly gpuType?: string | undefined;
}

interface DeliveriesOptions extends CallOptions {
  readonly user?: string | undefined;
  /** The value of `next` on the page before. */
  readonly after?: string | undefined;
}

/** Calls for operators. Every other caller gets a `NotFoundError`. */
export class Admin {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Yields the jobs of all users.
   *
   * @example
   * for await (const job of berth.admin.jobs({ status: ["active"] })) console.log(job.user_id, job.name);
   */
  jobs({ status, user, ...options }: ListAllJobsOptions = {}): AsyncGenerator<Schemas["AdminJob"]> {
    const filter = { status: status?.join(","), user };
    return readPages(
      (page) => {
        const query = { ...filter, ...page };
        return this.#transport.send<Schemas["AdminJobList"]>("GET", "/v1/admin/jobs", { ...options, query });
      },
      "jobs",
      ({ user_id, job_id }) => `${user_id} ${job_id}`,
    );
  }

  /**
   * Requests the end of a job of any user. The API answers before the job has ended.
   *
   * @example
   * await berth.admin.cancelJob("9e41", { user: "ada" });
   */
  cancelJob(id: string, body: Schemas["CancelAnyJob"] = {}, options: CallOptions = {}) {
    const path = `/v1/admin/jobs/${encodeURIComponent(id)}/cancel`;
    return this.#transport.send<Schemas["JobActionRequested"]>("POST", path, { ...options, body, repeat: "safe" });
  }

  /**
   * Yields the machines.
   *
   * @example
   * for await (const node of berth.admin.nodes()) console.log(node.node, node.status);
   */
  nodes(options: CallOptions = {}): AsyncGenerator<Schemas["AdminNode"]> {
    return readPages(
      (query) => this.#transport.send<Schemas["AdminNodeList"]>("GET", "/v1/admin/nodes", { ...options, query }),
      "nodes",
      ({ node }) => node,
    );
  }

  /**
   * Returns the types of GPUs: who holds each machine until when, and who waits for them.
   *
   * @example
   * const { pools } = await berth.admin.pools();
   */
  pools({ gpuType, ...options }: PoolOptions = {}): Promise<Schemas["AdminPoolList"]> {
    return this.#transport.send("GET", "/v1/admin/pools", { ...options, query: { gpu_type: gpuType } });
  }

  /**
   * Yields the users by name.
   *
   * @example
   * for await (const { username, disabled } of berth.admin.users()) console.log(username, disabled);
   */
  users(options: CallOptions = {}): AsyncGenerator<Schemas["AdminUser"]> {
    return readPages(
      (query) => this.#transport.send<Schemas["AdminUserList"]>("GET", "/v1/admin/users", { ...options, query }),
      "users",
      ({ username }) => username,
    );
  }

  /**
   * Returns webhook deliveries, newest first: those of all users that wait, or a page of one user's.
   *
   * @example
   * const { deliveries } = await berth.admin.deliveries();
   */
  deliveries({ user, after, ...options }: DeliveriesOptions = {}): Promise<Schemas["AdminWebhookDeliveryList"]> {
    const query = { user, after, limit: pageSize };
    return this.#transport.send("GET", "/v1/admin/webhooks/deliveries", { ...options, query });
  }

  /**
   * Yields what operators and users did, newest first.
   *
   * @example
   * for await (const entry of berth.admin.audit()) console.log(entry);
   */
  audit(options: CallOptions = {}): AsyncGenerator<Schemas["AuditEntry"]> {
    return readPages(
      (query) => this.#transport.send<Schemas["Audit"]>("GET", "/v1/admin/audit", { ...options, query }),
      "entries",
      ({ id }) => id,
    );
  }

  /**
   * Returns what no record explains: runs, volumes and snapshots.
   *
   * @example
   * const { run_count } = await berth.admin.orphans();
   */
  orphans(options: CallOptions = {}): Promise<Schemas["Orphans"]> {
    return this.#transport.send("GET", "/v1/admin/orphans", options);
  }

  /**
   * Returns what operators closed or called dead, since when, who and why.
   *
   * @example
   * const { paused, drained, gone_nodes } = await berth.admin.state();
   */
  state(options: CallOptions = {}): Promise<Schemas["AdminState"]> {
    return this.#transport.send("GET", "/v1/admin/state", options);
  }

  /**
   * Stops or allows new starts on machines of one type, in one of its zones or node groups, or on one machine. With `at`,
   * starts are stopped from then on, and jobs that would still run then are not started any more.
   *
   * @example
   * await berth.admin.setDrained("h100", true, { node: "node-1", reason: "Its fan is loud" });
   */
  setDrained(
    gpuType: string,
    isDrained: boolean,
    { reason, zone, nodeGroup, node, at, ...options }: DrainOptions = {},
  ) {
    const path = `/v1/admin/pools/${encodeURIComponent(gpuType)}/${isDrained ? "drain" : "undrain"}`;
    return this.#transport.send<Schemas["AdmissionState"]>("POST", path, {
      ...options,
      body: { reason, zone, node_group: nodeGroup, node, at },
      // A second undrain of a part would be refused, because the part is not drained.
      repeat: isDrained ? "safe" : "key",
    });
  }

  /**
   * Stops or allows all new starts.
   *
   * @example
   * await berth.admin.setPaused(false);
   */
  setPaused(isPaused: boolean, { reason, ...options }: ReasonOptions = {}): Promise<Schemas["AdmissionState"]> {
    const path = `/v1/admin/admission/${isPaused ? "pause" : "resume"}`;
    return this.#transport.send("POST", path, { ...options, body: { reason }, repeat: "safe" });
  }

  /**
   * Disables or enables a user.
   *
   * @example
   * await berth.admin.setDisabled("ada", true);
   */
  setDisabled(username: string, isDisabled: boolean, options: CallOptions = {}): Promise<Schemas["UserState"]> {
    const path = `/v1/admin/users/${encodeURIComponent(username)}/${isDisabled ? "disable" : "enable"}`;
    return this.#transport.send("POST", path, { ...options, repeat: "safe" });
  }

  /**
   * Declares a machine gone, or takes that back.
   *
   * @example
   * await berth.admin.setNodeGone("node-1", true);
   */
  setNodeGone(name: string, isGone: boolean, { reason, ...options }: ReasonOptions = {}): Promise<Schemas["NodeGone"]> {
    const path = `/v1/admin/nodes/${encodeURIComponent(name)}/${isGone ? "gone" : "back"}`;
    return this.#transport.send("POST", path, { ...options, body: { reason }, repeat: "safe" });
  }
}
