import type { Berth } from "../../sdk/berth.ts";
import type { Disk } from "../../sdk/disks.ts";
import { parseHours } from "../definitions/parameters.ts";
import { collect } from "../terminal/collect.ts";
import type { Choice, Questions } from "../terminal/questions.ts";
import { noMachine, startTime } from "../terminal/start-time.ts";
import { printable, told } from "../terminal/text.ts";
import { usualHours, usualImage } from "./defaults.ts";
import { liveStatuses } from "./find-job.ts";
import { findMachine, machineTypes, ownTypes } from "./machines.ts";
import type { JobSettings } from "./submit-request.ts";

/** The deployment and the terminal that the questions use, and a signal that ends both. */
interface Asking {
  readonly berth: Berth;
  readonly questions: Questions;
  readonly signal: AbortSignal;
}

/** Asks for each setting that is still open, and returns all of them. */
export async function askSettings(asking: Asking, settings: JobSettings): Promise<JobSettings> {
  const type = settings.type ?? (await askType(asking, settings));
  const gpus = settings.gpus ?? (await askGpus(asking, { ...settings, type }));
  const hours = settings.hours ?? (await askHours(asking));
  const disk = settings.disk === undefined ? await askDisk(asking) : {};
  const image = settings.image ?? (await askImage(asking));
  const name = settings.name ?? (await askName(asking));
  return { ...settings, type, gpus, hours, ...disk, image, name };
}

/** Types of which there is a machine come first. */
async function askType({ berth, questions, signal }: Asking, settings: JobSettings): Promise<string> {
  const { availability } = await berth.availability({ signal });
  const types = [...machineTypes.filter((type) => type !== "cpu"), ...ownTypes(availability).map(([name]) => name)];
  const width = Math.max(...types.map((type) => type.length));
  const labels = types.map(async (type) => {
    const { available = 0, total = 0 } = availability[type] ?? {};
    const free = available > 0 ? told`${available} of ${total} free` : undefined;
    const words = free ?? (await startTime(berth, { ...settings, type, gpus: undefined }, signal));
    return { value: type, label: told`${type.padEnd(width)}  ${words}`, isThere: total > 0 || words !== noMachine };
  });
  const choices = await Promise.all(labels);
  return questions.choose("Type of machine", [
    ...choices.filter(({ isThere }) => isThere),
    ...choices.filter(({ isThere }) => !isThere),
  ]);
}

const parts = [1, 2, 4, 8];

/** Offers parts of a machine, and as many whole machines as there are. */
async function askGpus({ berth, questions, signal }: Asking, settings: JobSettings): Promise<number | undefined> {
  const { gpuCount } = await findMachine(berth, settings.type ?? "", signal);
  if (gpuCount === 0) return undefined;
  const { availability } = await berth.availability({ signal });
  const { total = 0, count_options = parts } = availability[settings.type ?? ""] ?? {};
  const offered = count_options.filter((count) => count <= Math.max(gpuCount, total));
  if (offered.length === 1) return 1;
  const labels = offered.map(async (gpus): Promise<Choice> => {
    const words = await startTime(berth, { ...settings, gpus }, signal);
    return { value: String(gpus), label: told`${String(gpus).padStart(2)}  ${words}` };
  });
  return Number(await questions.choose("GPUs", await Promise.all(labels)));
}

async function askHours({ berth, questions, signal }: Asking): Promise<number> {
  const { limits } = await berth.me({ signal });
  const least = limits.min_duration_hours;
  const most = limits.max_duration_hours;
  const problem = (line: string) => {
    const hours = readHours(line);
    if (hours === undefined) return "Write a time: 2 for hours, 90m or 1.5h";
    return hours < least || hours > most ? told`A job may have ${least} to ${most} hours` : undefined;
  };
  const line = await questions.line("Hours", { usual: String(usualHours), problem });
  return parseHours(line);
}

function readHours(line: string): number | undefined {
  try {
    return parseHours(line);
  } catch {
    return undefined;
  }
}

type DiskSettings = Pick<JobSettings, "disk" | "diskSize">;

const newDisk = "new";
const noDisk = "none";

/** The value of a choice is the number of a disk, so that a disk may have any name. */
async function askDisk({ berth, questions, signal }: Asking): Promise<DiskSettings> {
  const [disks, jobs] = await Promise.all([
    collect(berth.disks.list({ signal })),
    collect(berth.jobs.list({ status: liveStatuses, signal })),
  ]);
  const names = new Map(jobs.map(({ job_id, name }) => [job_id, name]));
  const choices = disks.map((disk, at): Choice => {
    const user = disk.in_use ? `in use by ${printable(names.get(disk.reservation_id ?? "") ?? "a job")}` : undefined;
    return { value: String(at), label: diskLabel(disk), disabledBecause: user };
  });
  const choice = await questions.choose("Disk for your files", [
    ...choices.filter(({ disabledBecause }) => disabledBecause === undefined),
    { value: newDisk, label: "a new disk" },
    { value: noDisk, label: "none: your files go when the job ends" },
    ...choices.filter(({ disabledBecause }) => disabledBecause !== undefined),
  ]);
  if (choice === noDisk) return {};
  return choice === newDisk ? askNewDisk(questions, disks) : { disk: disks[Number(choice)]?.disk_name };
}

function diskLabel({ disk_name, size_gb, is_backing_up }: Disk): string {
  return told`${disk_name}  ${size_gb} GB${is_backing_up ? ", its backup is being made" : ""}`;
}

async function askNewDisk(questions: Questions, disks: readonly Disk[]): Promise<DiskSettings> {
  const taken = new Set(disks.map(({ disk_name }) => disk_name));
  const usual = ["data", ...disks.map((_, at) => `data-${at + 2}`)].find((name) => !taken.has(name)) ?? "data";
  const disk = await questions.line("Name of the disk", {
    usual,
    problem: (name) => {
      if (taken.has(name)) return "You have a disk of this name";
      return /^[\w-]{1,64}$/.test(name) ? undefined : "At most 64 letters, digits, hyphens and underscores";
    },
  });
  const size = await questions.line("Size in GB", {
    usual: "100",
    problem: (text) => {
      const isFine = /^\d{1,5}$/.test(text) && Number(text) >= 10 && Number(text) <= 10_000;
      return isFine ? undefined : "A number from 10 to 10000";
    },
  });
  return { disk, diskSize: Number(size) };
}

function askImage({ questions }: Asking): Promise<string> {
  return questions.line("Image", { usual: usualImage });
}

async function askName({ questions }: Asking): Promise<string | undefined> {
  const isTooLong = (name: string) => (name.length > 128 ? "At most 128 characters" : undefined);
  const name = await questions.line("Name", { usual: "", placeholder: "chosen for you", problem: isTooLong });
  return name === "" ? undefined : name;
}
