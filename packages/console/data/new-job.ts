import type { SubmitJob } from "../../sdk/jobs.ts";
import { hasGpus } from "./machines.ts";
import { parseHours } from "./words.ts";

/** Subject of starts. The list shows their outcome, because a user may leave the form before the answer. */
export const newSubject = "new environment";

/** Typed values of the form for a new environment. */
export interface NewJob {
  readonly type: string;
  /** The machine of that type, by its AWS name. */
  readonly machine: string;
  readonly gpus: number;
  readonly hours: string;
  /** The least time that it accepts on machines that close, or an empty text. */
  readonly leastHours: string;
  readonly name: string;
  readonly image: string;
  readonly registryUser: string;
  readonly registryPassword: string;
  readonly disk: string;
  readonly diskSize: string;
  readonly github: string;
  /** Public keys, one a line. */
  readonly sshKeys: string;
  readonly jupyter: boolean;
  readonly requeue: boolean;
  readonly command: string;
}

export const usualJob: NewJob = {
  type: "cpu-x86",
  machine: "c7i.8xlarge",
  gpus: 1,
  hours: "1h",
  leastHours: "",
  name: "",
  image: "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
  registryUser: "",
  registryPassword: "",
  disk: "",
  diskSize: "",
  github: "",
  sshKeys: "",
  jupyter: false,
  requeue: false,
  command: "",
};

/** Returns the least time that the job accepts. By default it is all of its time. Returns undefined for no such time. */
export function leastHours(job: NewJob): number | undefined {
  const hours = parseHours(job.hours);
  const least = job.leastHours.trim() === "" ? hours : parseHours(job.leastHours);
  return least !== undefined && hours !== undefined && least <= hours ? least : undefined;
}

/** Reports whether the API takes the size of a new disk. An empty text stands for the usual size. */
export function isDiskSize({ diskSize }: NewJob): boolean {
  if (diskSize.trim() === "") return true;
  const gb = Number(diskSize);
  return Number.isInteger(gb) && gb >= 10 && gb <= 10_000;
}

/** Returns the body of a submit without its login to a registry, or undefined while a time or size is wrong. */
export function submitBody(job: NewJob): SubmitJob | undefined {
  const [hours, least] = [parseHours(job.hours), leastHours(job)];
  if (hours === undefined || least === undefined || (job.disk && !isDiskSize(job))) return undefined;
  const sshKeys = job.sshKeys.split("\n").filter((key) => key.trim() !== "");
  return {
    image: job.image,
    instance_type: job.machine,
    gpu_count: hasGpus(job.type) ? job.gpus : 0,
    duration_hours: hours,
    ...(least < hours && { min_duration_hours: least }),
    ...(job.name.trim() && { name: job.name.trim() }),
    ...(job.disk && { disk_name: job.disk }),
    ...(job.disk && Number(job.diskSize) > 0 && { disk_size_gb: Number(job.diskSize) }),
    ...(job.github && { github_user: job.github }),
    ...(sshKeys.length > 0 && { ssh_public_keys: sshKeys }),
    ...(job.jupyter && { jupyter_enabled: true }),
    ...(job.requeue && { on_interruption: "requeue" as const }),
    ...(job.command.trim() && { command: job.command }),
  };
}

/** Adds the login to a registry. Estimates and shown texts leave the password out. */
export function withLogin(body: SubmitJob, { registryUser: username, registryPassword: password }: NewJob): SubmitJob {
  return username === "" ? body : { ...body, registry_auth: { username, password } };
}

/** Returns the line that submits the same from a terminal. */
export function upLine(job: NewJob): string {
  const words = ["berth", "up"];
  if (/^[A-Za-z0-9]/.test(job.name)) words.push(job.name.trim());
  words.push("--type", job.type);
  if (hasGpus(job.type)) words.push("--gpus", String(job.gpus));
  words.push("--hours", job.hours.trim());
  if (job.leastHours.trim()) words.push("--min-hours", job.leastHours.trim());
  if (job.image !== usualJob.image || job.registryUser) words.push("--image", job.image);
  if (job.registryUser) words.push("--registry-user", job.registryUser);
  if (job.disk) words.push("--disk", job.disk);
  if (job.disk && job.diskSize) words.push("--disk-size", job.diskSize);
  if (job.github) words.push("--github", job.github);
  if (job.jupyter) words.push("--jupyter");
  if (job.requeue) words.push("--requeue");
  if (job.command.trim()) words.push("--", job.command);
  const line = words.map(shellWord).join(" ");
  return job.registryUser ? `REGISTRY_PASSWORD=… ${line}` : line;
}

/** Returns the same as the file `berth.yaml`. A JSON text is a YAML text, with the same meaning. */
export function yamlFile(job: NewJob): string {
  const body = submitBody(job);
  if (!body) return "";
  const entries: [string, unknown][] = [
    ["name", body.name],
    ["type", job.type],
    ["gpus", hasGpus(job.type) ? job.gpus : undefined],
    ["hours", body.duration_hours],
    ["min_hours", body.min_duration_hours],
    ["image", body.image],
    ["disk", body.disk_name],
    ["disk_size", body.disk_size_gb],
    ["github", body.github_user],
    ["jupyter", body.jupyter_enabled],
    ["requeue", job.requeue || undefined],
    ["command", body.command],
  ];
  const lines = entries
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  return [...(job.registryUser ? ["# with --registry-user and --image"] : []), ...lines].join("\n");
}

/** Quotes a word so that every POSIX shell reads it unchanged. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
