import { type ActInput, type ActOptions, type ActOutcome, actOnJob } from "./act-on-job.ts";
import { followLogs, type LogsOptions } from "./job-logs.ts";
import { jobPath } from "./job-state.ts";
import { readPages } from "./pages.ts";
import type { components } from "./schema.ts";
import type { Answer, CallOptions, CreateOptions, Transport } from "./transport.ts";
import { type WaitOptions, waitForJob } from "./wait-for-job.ts";

type Schemas = components["schemas"];
export type Job = Schemas["Job"];
export type JobSummary = Schemas["JobSummary"];
export type JobStatus = Schemas["JobStatus"];
export type JobAction = Schemas["JobAction"];
export type JobEstimate = Schemas["JobEstimate"];
/** A deployment may have more machines than those of the schema (`instance_type` of `availability`). */
export type SubmitJob = Omit<Schemas["SubmitJob"], "instance_type"> & {
  instance_type: Schemas["SubmitJob"]["instance_type"] | (string & {});
};
export type SubmittedJob = Schemas["SubmittedJob"];
export type JobActionRequested = Schemas["JobActionRequested"];
export type JobTerminalTicket = Schemas["JobTerminalTicket"];

export interface ListJobsOptions extends CallOptions {
  readonly status?: readonly JobStatus[] | undefined;
  /** The whole name. */
  readonly name?: string | undefined;
  /** Only jobs that ended after this time. */
  readonly endedAfter?: Date | undefined;
  /** How many jobs one request fetches, 1 to 500. */
  readonly pageSize?: number | undefined;
}

/** Jobs of the key's owner. Wherever an id is taken, its first 4 or more characters will do. */
export class Jobs {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Puts a job into the queue.
   *
   * @example
   * const { job_id } = await berth.jobs.submit({
   *   image: "ubuntu:24.04", instance_type: "p5.48xlarge", gpu_count: 1, duration_hours: 1,
   * });
   */
  submit(job: SubmitJob, options: CreateOptions = {}): Promise<SubmittedJob> {
    return this.#transport.send("POST", "/v1/jobs/submit", { ...options, body: job, repeat: "key" });
  }

  /**
   * Tells when a job would start, without submitting it.
   *
   * @example
   * const { reason } = await berth.jobs.estimate({ image: "ubuntu:24.04", instance_type: "p5.48xlarge" });
   */
  estimate(job: SubmitJob, options: CallOptions = {}): Promise<JobEstimate> {
    return this.#transport.send("POST", "/v1/jobs/estimate", { ...options, body: job, repeat: "safe" });
  }

  /**
   * Returns one job.
   *
   * @example
   * const job = await berth.jobs.get("9e41");
   */
  get(id: string, options: CallOptions = {}): Promise<Job> {
    return this.#transport.send("GET", jobPath(id), options);
  }

  /**
   * Returns one job and the `ETag` of this state. The answer is 304 without data if the tag is still the same.
   *
   * @example
   * const { headers } = await berth.jobs.getIfChanged("9e41", undefined);
   * const { status } = await berth.jobs.getIfChanged("9e41", headers.get("etag") ?? undefined);
   */
  getIfChanged(id: string, etag: string | undefined, options: CallOptions = {}): Promise<Answer<Job>> {
    return this.#transport.sendForAnswer("GET", jobPath(id), { ...options, etag });
  }

  /**
   * Yields the jobs, newest first, page by page.
   *
   * @example
   * for await (const job of berth.jobs.list({ status: ["active"] })) console.log(job.name);
   */
  list({ status, name, endedAfter, pageSize, ...options }: ListJobsOptions = {}): AsyncGenerator<JobSummary> {
    const filter = { status: status?.join(","), name, ended_after: endedAfter?.toISOString() };
    return readPages(
      (page) => {
        const query = { ...filter, ...page };
        return this.#transport.send<Schemas["JobList"]>("GET", "/v1/jobs", { ...options, query });
      },
      "jobs",
      ({ job_id }) => job_id,
      pageSize,
    );
  }

  /**
   * Ends a job. Its outcome is in `actions` of the job; `act` waits for it.
   *
   * @example
   * await berth.jobs.cancel("9e41");
   */
  cancel(id: string, options: CallOptions = {}): Promise<JobActionRequested> {
    return this.#transport.send("POST", `${jobPath(id)}/cancel`, { ...options, repeat: "safe" });
  }

  /**
   * Adds hours to a job.
   *
   * @example
   * await berth.jobs.extend("9e41", 0.5);
   */
  extend(id: string, hours: number, options: CreateOptions = {}): Promise<JobActionRequested> {
    const body = { extension_hours: hours };
    return this.#transport.send("POST", `${jobPath(id)}/extend`, { ...options, body, repeat: "key" });
  }

  /**
   * Lets a GitHub user's SSH keys, or one public key, into a job.
   *
   * @example
   * await berth.jobs.addUser("9e41", { github_username: "octocat" });
   */
  addUser(id: string, user: Schemas["AddJobUser"], options: CreateOptions = {}): Promise<JobActionRequested> {
    return this.#transport.send("POST", `${jobPath(id)}/users`, { ...options, body: user, repeat: "key" });
  }

  /**
   * Starts or stops Jupyter in a job.
   *
   * @example
   * await berth.jobs.setJupyter("9e41", true);
   */
  setJupyter(id: string, isOn: boolean, options: CallOptions = {}): Promise<JobActionRequested> {
    const path = `${jobPath(id)}/jupyter/${isOn ? "enable" : "disable"}`;
    return this.#transport.send("POST", path, { ...options, repeat: "safe" });
  }

  /**
   * Returns the address and a single-use ticket of a terminal: a new one, or the job's terminal with this id. A
   * WebSocket opens it with the subprotocols `berth.terminal.v1` and `berth.ticket.<ticket>` within 30 s.
   *
   * @example
   * const { url, ticket } = await berth.jobs.openTerminal("9e41");
   * const socket = new WebSocket(url, ["berth.terminal.v1", `berth.ticket.${ticket}`]);
   */
  openTerminal(id: string, terminalId?: string, options: CallOptions = {}): Promise<JobTerminalTicket> {
    const body = { terminal_id: terminalId };
    return this.#transport.send("POST", `${jobPath(id)}/terminal`, { ...options, body, repeat: "safe" });
  }

  /**
   * Requests an action and waits for its outcome. Throws an `ActionFailedError` if the server could not carry it out.
   *
   * @example
   * const { job } = await berth.jobs.act("9e41", { action: "extend", hours: 2 });
   */
  act(id: string, input: ActInput, options: ActOptions = {}): Promise<ActOutcome> {
    return actOnJob(this, id, input, options);
  }

  /**
   * Waits until a job is active, or until it ended. A wait for `active` also returns when the job ends before.
   *
   * @example
   * const job = await berth.jobs.wait("9e41", { until: "active", onChange: (job) => console.log(job.status_reason) });
   */
  wait(id: string, options: WaitOptions): Promise<Job> {
    return waitForJob(this, id, options);
  }

  /**
   * Yields the output of the job's command. With `follow` it continues until the job has ended.
   *
   * @example
   * for await (const text of berth.jobs.logs("9e41", { follow: true })) process.stdout.write(text);
   */
  logs(id: string, options: LogsOptions = {}): AsyncGenerator<string> {
    return followLogs(this.#transport, id, options);
  }
}
