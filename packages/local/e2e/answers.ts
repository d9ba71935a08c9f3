import { ApiError, type Job, type JobClient } from "./job-client.ts";

/** What a stack was asked and answered. It may lose none of that, and of what it did not answer it may do either. */
export interface Answers {
  submit(jobs: JobClient, body: Submission): Promise<string>;
  /** A refusal since the job has ended is no answer that could be lost. */
  extend(jobs: JobClient, id: string, hours: number): Promise<void>;
  cancel(jobs: JobClient, id: string): Promise<void>;
  createDisk(jobs: JobClient, name: string): Promise<void>;
  renameDisk(jobs: JobClient, name: string, newName: string): Promise<void>;
  count(): Readonly<Record<Kind, number>>;
  /** In words, what is not as it was answered. */
  lost(jobs: JobClient): Promise<string[]>;
}

export type Kind = "submitted" | "extended" | "cancelled" | "created" | "renamed";

type Submission = Readonly<Record<string, unknown>> & { readonly duration_hours: number };

interface AnsweredJob {
  /** One of these is its duration, ms. */
  readonly durations: readonly number[];
  readonly isCancelled: boolean;
}

export function noteAnswers(): Answers {
  const jobs = new Map<string, AnsweredJob>();
  /** By its first name, the names of which a disk has one. */
  const disks = new Map<string, readonly string[]>();
  const counts = { submitted: 0, extended: 0, cancelled: 0, created: 0, renamed: 0 };
  const change = (id: string, changes: Partial<AnsweredJob>) => {
    jobs.set(id, { ...(jobs.get(id) as AnsweredJob), ...changes });
  };
  return {
    count: () => ({ ...counts }),
    async submit(client, body) {
      const id = await client.submit(body);
      jobs.set(id, { durations: [msOf(body.duration_hours)], isCancelled: false });
      counts.submitted += 1;
      return id;
    },
    async extend(client, id, hours) {
      const durations = jobs.get(id)?.durations ?? [];
      const longer = durations.map((ms) => ms + msOf(hours));
      change(id, { durations: [...durations, ...longer] });
      if (!(await isAnswered(client.extend(id, hours)))) return change(id, { durations });
      change(id, { durations: longer });
      counts.extended += 1;
    },
    async cancel(client, id) {
      if (!(await isAnswered(client.cancel(id)))) return;
      change(id, { isCancelled: true });
      counts.cancelled += 1;
    },
    async createDisk(client, name) {
      await client.createDisk(name);
      disks.set(name, [name]);
      counts.created += 1;
    },
    async renameDisk(client, name, newName) {
      const [first = "", names = []] = [...disks].find(([, all]) => all.at(-1) === name) ?? [];
      disks.set(first, [...names, newName]);
      await client.renameDisk(name, newName);
      disks.set(first, [newName]);
      counts.renamed += 1;
    },
    async lost(client) {
      const found = await Promise.all([...jobs].map(async ([id, job]) => lostOf(id, job, await findJob(client, id))));
      const present = new Set(await client.diskNames());
      const wrong = [...disks.values()].filter((names) => names.filter((name) => present.has(name)).length !== 1);
      return [...found.flat(), ...wrong.map((names) => `there is not one disk ${names.join(" or ")}`)];
    },
  };
}

function msOf(hours: number): number {
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

/** An extension counts from its answer on, and shows a little later. */
async function findJob(client: JobClient, id: string): Promise<Job | undefined> {
  const isShown = ({ action, status }: Job["actions"][number]) => action !== "extend" || status !== "requested";
  try {
    return await client.until(id, ({ actions }) => actions.every(isShown));
  } catch (error) {
    if (error instanceof ApiError && error.message.includes(`Job ${id} not found`)) return undefined;
    throw error;
  }
}

function lostOf(id: string, { durations, isCancelled }: AnsweredJob, job: Job | undefined): string[] {
  if (!job) return [`${id} is gone`];
  const duration = msOf(job.duration_hours);
  const isLong = durations.includes(duration) ? [] : [`${id} lasts ${duration} ms, not ${durations.join(" or ")}`];
  return isCancelled && job.status !== "cancelled" ? [...isLong, `${id} is ${job.status}, not cancelled`] : isLong;
}
