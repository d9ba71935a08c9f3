import { Admin } from "./admin.ts";
import { Disks } from "./disks.ts";
import { Jobs } from "./jobs.ts";
import { Keys } from "./keys.ts";
import { readPages } from "./pages.ts";
import type { components } from "./schema.ts";
import { type Call, type CallOptions, Transport, type TransportOptions } from "./transport.ts";
import { Web } from "./web.ts";
import { Webhooks } from "./webhooks.ts";

type Schemas = components["schemas"];
export type Availability = Schemas["Availability"];
export type GpuCapacity = Schemas["GpuCapacity"];
export type Me = Schemas["Me"];
export type Discovery = Schemas["Discovery"];
export type EnvironmentSummary = Schemas["EnvironmentSummary"];
export type ClusterStatus = Schemas["ClusterStatus"];

interface EnvironmentsOptions extends PageOptions {
  /** Whether they have ended. All of them by default. */
  readonly ended?: boolean;
  /** Which APIs' environments to list. All by default. */
  readonly apis?: readonly EnvironmentSummary["api"][];
}

interface PageOptions extends CallOptions {
  /** How many environments one request fetches, 1 to 500. */
  readonly pageSize?: number | undefined;
}

/**
 * `key` is a fixed key. `credentials` returns one, and is called again once the key has expired. In a page of the
 * deployment itself, `cookie` uses the session of the browser instead.
 */
export type BerthOptions = TransportOptions;

/**
 * A client of one deployment.
 *
 * @example
 * const berth = new Berth({ url: "https://berth.example", key: process.env.API_KEY });
 */
export class Berth {
  readonly url: string;
  readonly jobs: Jobs;
  readonly disks: Disks;
  readonly keys: Keys;
  readonly web: Web;
  readonly webhooks: Webhooks;
  readonly admin: Admin;
  readonly #transport: Transport;

  constructor(options: BerthOptions) {
    this.#transport = new Transport(options);
    this.url = this.#transport.url;
    this.jobs = new Jobs(this.#transport);
    this.disks = new Disks(this.#transport);
    this.keys = new Keys(this.#transport);
    this.web = new Web(this.#transport);
    this.webhooks = new Webhooks(this.#transport);
    this.admin = new Admin(this.#transport);
  }

  /**
   * Returns what a client needs before it has a key: versions, how to log in, where SSH listens.
   *
   * @example
   * const { version, login } = await berth.discover();
   */
  discover(options: CallOptions = {}): Promise<Discovery> {
    return this.#transport.send("GET", "/.well-known/berth", { ...options, public: true });
  }

  /**
   * Returns the key's owner, the key and the limits.
   *
   * @example
   * const { username, limits } = await berth.me();
   */
  me(options: CallOptions = {}): Promise<Me> {
    return this.#transport.send("GET", "/v1/me", options);
  }

  /**
   * Returns how many GPUs of each type are free.
   *
   * @example
   * const { availability } = await berth.availability();
   * console.log(availability.h100?.available);
   */
  availability(options: CallOptions = {}): Promise<Availability> {
    return this.#transport.send("GET", "/v1/gpu/availability", options);
  }

  /**
   * Returns the numbers of the whole cluster.
   *
   * @example
   * const { available_gpus, total_gpus } = await berth.status();
   */
  status(options: CallOptions = {}): Promise<ClusterStatus> {
    return this.#transport.send("GET", "/v1/cluster/status", options);
  }

  /**
   * Yields the caller's environments of all APIs, newest first.
   *
   * @example
   * for await (const { api, name, phase } of berth.environments()) console.log(api, name, phase);
   */
  environments({ pageSize, ended, apis, ...options }: EnvironmentsOptions = {}): AsyncGenerator<EnvironmentSummary> {
    const filter = { ended, api: apis?.join(",") };
    return readPages(
      (page) => {
        const query = { ...filter, ...page };
        return this.#transport.send<Schemas["AllEnvironments"]>("GET", "/v1/environments", { ...options, query });
      },
      "environments",
      ({ api, id }) => `${api} ${id}`,
      pageSize,
    );
  }

  /**
   * Calls any path of the API. A POST is sent at most once unless `repeat` says more.
   *
   * @example
   * const health = await berth.call("GET", "/health");
   */
  call(method: string, path: string, call: Call = {}): Promise<unknown> {
    return this.#transport.send(method, path, call);
  }

  /**
   * Returns the key that calls use now, renewed if need be.
   *
   * @example
   * const key = await berth.key();
   */
  key(options: CallOptions = {}): Promise<string | undefined> {
    return this.#transport.currentKey(options);
  }
}
