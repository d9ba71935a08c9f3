import type { OpenJupyter } from "../environments/record/changes/access.ts";
import type { Environment } from "../environments/record/record.ts";
import type { TimelineEntry } from "../environments/record/timeline.ts";
import type { Key } from "../ports/table.ts";
import type { Settings } from "../settings.ts";

/** The environment at the time of the event, as far as a body may show it. */
export type EventSubject = Pick<Environment, (typeof subjectFields)[number]>;

export interface DeliveryEvent {
  /** Unique per event and the same in every attempt, so that receivers can drop repeats. */
  readonly id: string;
  readonly entry: TimelineEntry;
  readonly previous: Pick<TimelineEntry, "phase" | "step"> | undefined;
  readonly environment: EventSubject;
  /** null if the owner has no record. Clients choose environment ids, so only this name identifies the owner. */
  readonly username: string | null;
  readonly jupyter: OpenJupyter | undefined;
  readonly settings: Pick<Settings, "sshGateway" | "userAccess">;
}

export type FormatBody = (event: DeliveryEvent) => object | undefined;

export function toSubject(environment: Environment): EventSubject {
  return Object.fromEntries(subjectFields.map((name) => [name, environment[name]])) as unknown as EventSubject;
}

const subjectFields = [
  "pk",
  "sk",
  "uid",
  "owner",
  "id",
  "createdBy",
  "name",
  "labels",
  "phase",
  "step",
  "reason",
  "run",
  "end",
  "times",
  "size",
  "createdAt",
  "ports",
  "access",
  "addressLabel",
] as const satisfies readonly (keyof Environment)[];

/** Returns `evt_<at>_<uid>_<n>`, which leads only the owner back to the delivery's key. */
export function formatEventId({ sk }: Key): string {
  return `evt_${sk.replaceAll("#", "_")}`;
}
