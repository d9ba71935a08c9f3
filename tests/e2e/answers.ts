import { ApiError, type Job, type JobClient } from "./job-client.ts";

/** Requests to a stack with their answers. No answered change may be lost; an unanswered one may be done or not. */
export interface Answers {
  submit(jobs: JobClient, body: Submission): Promise<string>;
  /** Extends a job, or returns if the job has ended. */
  extend(jobs: JobClient, id: string, hours: number): Promise<void>;
  cancel(jobs: JobClient, id: string): Promise<void>;
  createDisk(jobs: JobClient, name: string): Promise<void>;
  renameDisk(jobs: JobClient, name: string, newName: string): Promise<void>;
  deleteDisk(jobs: JobClient, name: string): Promise<void>;
  undeleteDisk(jobs: JobClient, name: string): Promise<void>;
  count(): Readonly<Record<Kind, number>>;
  /** Returns in words each difference from the answers. */
  lost(jobs: JobClient, withinMs?: number): Promise<string[]>;
}

export type Kind = "submitted" | "extended" | "cancelled" | "created" | "renamed" | "deleted" | "undeleted";

type Submission = Readonly<Record<string, unknown>> & { readonly duration_hours: number };

interface AnsweredJob {
  /** Possible durations in ms. */
  readonly durations: readonly number[];
  /** Those without extensions that were answered. */
  readonly shorter: readonly number[];
  readonly isCancelled: boolean;
}

interface AnsweredDisk {
  /** Possible names. */
  readonly names: readonly string[];
  /** Possible states. */
  readonly isDeleted: readonly boolean[];
  /** Its deletes and undeletes, with the name in the request. */
  readonly operations: readonly { readonly name: string; readonly id: string }[];
}

export function noteAnswers(): Answers {
  const jobs = new Map<string, AnsweredJob>();
  /** Disks by first name. */
  const disks = new Map<string, AnsweredDisk>();
  const counts = { submitted: 0, extended: 0, cancelled: 0, created: 0, renamed: 0, deleted: 0, undeleted: 0 };
  const diskNamed = (name: string) => {
    const found = [...disks].find(([, { names }]) => names.at(-1) === name);
    if (!found) throw new Error(`The answer has no disk ${name}`);
    return found;
  };
  const mark = async (name: string, isDeleted: boolean, call: Promise<string>) => {
    const [first, disk] = diskNamed(name);
    disks.set(first, { ...disk, isDeleted: [...disk.isDeleted, isDeleted] });
    const id = await call;
    disks.set(first, { ...disk, isDeleted: [isDeleted], operations: [...disk.operations, { name, id }] });
    counts[isDeleted ? "deleted" : "undeleted"] += 1;
  };
  const change = (id: string, changes: Partial<AnsweredJob>) => {
    jobs.set(id, { ...(jobs.get(id) as AnsweredJob), ...changes });
  };
  return {
    count: () => ({ ...counts }),
    async submit(client, body) {
      const id = await client.submit(body);
      jobs.set(id, { durations: [getMs(body.duration_hours)], shorter: [], isCancelled: false });
      counts.submitted += 1;
      return id;
    },
    async extend(client, id, hours) {
      const { durations = [], shorter = [] } = jobs.get(id) ?? {};
      const longer = durations.map((ms) => ms + getMs(hours));
      change(id, { durations: [...durations, ...longer] });
      if (!(await isAnswered(client.extend(id, hours)))) return change(id, { durations });
      change(id, { durations: longer, shorter: [...shorter, ...durations] });
      counts.extended += 1;
    },
    async cancel(client, id) {
      if (!(await isAnswered(client.cancel(id)))) return;
      change(id, { isCancelled: true });
      counts.cancelled += 1;
    },
    async createDisk(client, name) {
      await client.createDisk(name);
      disks.set(name, { names: [name], isDeleted: [false], operations: [] });
      counts.created += 1;
    },
    async renameDisk(client, name, newName) {
      const [first, disk] = diskNamed(name);
      disks.set(first, { ...disk, names: [...disk.names, newName] });
      await client.renameDisk(name, newName);
      disks.set(first, { ...disk, names: [newName] });
      counts.renamed += 1;
    },
    deleteDisk: (client, name) => mark(name, true, client.deleteDisk(name)),
    undeleteDisk: (client, name) => mark(name, false, client.undeleteDisk(name)),
    async lost(client, withinMs) {
      const ofJobs = [...jobs].map(async ([id, job]) => getLost(id, job, await findJob(client, id, withinMs)));
      const ofDisks = [...disks.values()].map((disk) => lostOfDisk(client, disk, withinMs));
      return (await Promise.all([...ofJobs, ...ofDisks])).flat();
    },
  };
}

function getMs(hours: number): number {
  return Math.round(hours * 3_600_000);
}

async function isAnswered(call: Promise<void>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (error instanceof ApiError && /Cannot \w+ job \S+ in status/.test(error.message)) return false;
    throw error;
  }
}

/** Reads a job until its extensions show, which may be a little after their answers. */
async function findJob(client: JobClient, id: string, withinMs?: number): Promise<Job | undefined> {
  const isShown = ({ action, status }: Job["actions"][number]) => action !== "extend" || status !== "requested";
  try {
    return await client.until(id, ({ actions }) => actions.every(isShown), withinMs);
  } catch (error) {
    if (error instanceof ApiError && error.message.includes(`Job ${id} not found`)) return undefined;
    throw error;
  }
}

function getLost(id: string, answered: AnsweredJob, job: Job | undefined): string[] {
  if (!job) return [`${id} is gone`];
  const { isCancelled } = answered;
  const duration = getMs(job.duration_hours);
  const durations = isRefused(job) ? [...answered.durations, ...answered.shorter] : answered.durations;
  const isLong = durations.includes(duration) ? [] : [`${id} lasts ${duration} ms, not ${durations.join(" or ")}`];
  return isCancelled && job.status !== "cancelled" ? [...isLong, `${id} is ${job.status}, not cancelled`] : isLong;
}

/** A cluster that was away until the job's end never took the extension, and the job says so. */
function isRefused({ actions }: Job): boolean {
  const reason = "The cluster did not accept it before the end";
  return actions.some(({ action, status, error }) => action === "extend" && status === "failed" && error === reason);
}

/** Compares a disk once all its requests are over, because some continue after their answer. */
async function lostOfDisk(client: JobClient, disk: AnsweredDisk, withinMs?: number): Promise<string[]> {
  const { names, isDeleted, operations } = disk;
  const ends = await Promise.all(operations.map(({ name, id }) => client.operationEnd(name, id, withinMs)));
  const wrong = ends.flatMap((end, at) => (end === "completed" ? [] : [`${operations[at]?.id} is ${end}`]));
  const found = (await Promise.all(names.map((name) => client.findDisk(name)))).filter((each) => each !== undefined);
  const [only] = found;
  if (!only || found.length > 1) return [...wrong, `there is not one disk ${names.join(" or ")}`];
  const words = `disk ${only.disk_name} is ${only.is_deleted ? "" : "not "}deleted`;
  return isDeleted.includes(only.is_deleted) ? wrong : [...wrong, words];
}
