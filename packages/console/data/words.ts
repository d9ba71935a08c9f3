import type { JobSummary } from "../../sdk/jobs.ts";
import { serverNow } from "./client.ts";

/** Control characters, those that turn or hide text, and line separators. */
const hostile = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu;

/** Returns a text that cannot pretend to be another one, without an end beyond all measure. */
export function printable(text: string, most = 2000): string {
  const shown = text.replace(hostile, "\uFFFD");
  return shown.length > most ? `${shown.slice(0, most)}…` : shown;
}

/** Returns the text of a log: colours and other escape sequences are dropped, lines stay. */
export function printableLog(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one.
  const withoutSequences = text.replace(/\u001B\[[0-9;:]*[ -/]*[@-~]/g, "");
  return withoutSequences.replace(/[^\P{C}\n\r\t\u200C\u200D]|[\u2028\u2029]/gu, "\uFFFD");
}

/** Returns a number with its noun: `1 run`, `2 runs`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Returns a time span in the two largest units that matter, as the command line does. */
export function timeSpan(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000));
  if (minutes < 1) return `${Math.max(0, Math.round(ms / 1000))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) return `${Math.round(hours / 24)} days`;
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

export function timeSince(time: string): string {
  return timeSpan(serverNow() - Date.parse(time));
}

const localTime = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
  timeZoneName: "short",
});

/** Returns a time of this browser's zone, and names the zone. */
export function formatTime(time: string): string {
  return Number.isNaN(Date.parse(time)) ? printable(time) : localTime.format(new Date(time));
}

const clockTime = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

/** Returns a time of today without its zone, which `zoneName` returns, and another time with its date. */
export function formatClock(time: string): string {
  const date = new Date(time);
  const isToday = date.toDateString() === new Date(serverNow()).toDateString();
  return isToday ? clockTime.format(date) : formatTime(time);
}

/** Returns the name of this browser's time zone. */
export function zoneName(): string {
  const parts = localTime.formatToParts(new Date(serverNow()));
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
}

type MachineOfJob = Pick<JobSummary, "gpu_count" | "gpu_type" | "instance_type">;

export function describeMachine({ gpu_count, gpu_type, instance_type }: MachineOfJob): string {
  return gpu_count === 0 ? printable(instance_type, 40) : `${gpu_count} × ${printable(gpu_type, 40)}`;
}

/** Returns the argument that selects this job in commands. */
export function jobWord({ job_id, name }: Pick<JobSummary, "job_id" | "name">): string {
  return /^[A-Za-z0-9][\w.-]*$/.test(name) && name.length <= 64 ? name : job_id.slice(0, 8);
}

/** Reads `90m`, `1.5h` or `2` as hours. Returns undefined for another text. */
export function parseHours(text: string): number | undefined {
  const [, digits, unit = "h"] = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*([mh])?\s*$/.exec(text) ?? [];
  const hours = Number(digits) / (unit === "m" ? 60 : 1);
  return hours > 0 ? hours : undefined;
}

const marks: Readonly<Record<string, string>> = {
  queued: "◌",
  preparing: "◔",
  active: "●",
  stopping: "◔",
  stopped: "○",
  completed: "✓",
  failed: "✕",
  cancelled: "–",
  expired: "–",
  deleted: "–",
};

interface Stated {
  readonly status: string;
  readonly queue_position: number | null;
}

/** Returns a state as a word, with its place in the queue and a mark that says the same. */
export function describeState({ status, queue_position: place }: Stated): {
  readonly mark: string;
  readonly text: string;
} {
  return { mark: marks[status] ?? "?", text: `${printable(status, 40)}${place === null ? "" : ` #${place}`}` };
}

/** Returns why a job waits, or what threatens one that runs. */
export function describeReason({ status, status_reason, warning }: JobSummary) {
  const isWarning = status === "active" && warning !== null;
  const reason = isWarning ? warning : status_reason;
  return reason === null ? undefined : { text: printable(reason, 400), className: isWarning ? "why warning" : "why" };
}

/** Caption and columns of the list on the first screen. */
export const livingCaption = "Environments that run or wait";
export const livingColumns = ["Name", "State", "Machine", "Time", "Disk", "Actions"] as const;
