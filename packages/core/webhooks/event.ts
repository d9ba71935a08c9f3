import type { OpenJupyter } from "../environments/record/changes/access.ts";
import type { Environment } from "../environments/record/record.ts";
import type { TimelineEntry } from "../environments/record/timeline.ts";
import type { Key } from "../ports/table.ts";

/** An environment as it was when an event was told: what a body may be made of. */
export type EventSubject = Pick<Environment, (typeof subjectFields)[number]>;

/** One entry of a timeline on its way to a receiver. */
export interface DeliveryEvent {
  /** One per event, the same in every attempt: receivers drop repeats by it. */
  readonly id: string;
  readonly entry: TimelineEntry;
  /** The entry before it; undefined: it is the first. */
  readonly previous: Pick<TimelineEntry, "phase" | "step"> | undefined;
  readonly environment: EventSubject;
  /**
   * The name of its owner. Ids that a client chose are its owner's own: a receiver knows by this name alone whose event
   * it is.
   * Null where the owner has no record: a receiver takes that for nobody's.
   */
  readonly username: string | null;
  /** Where Jupyter answers and the token that opens it, where the event found it on. */
  readonly jupyter: OpenJupyter | undefined;
}

/** What a receiver is sent for an event; undefined: this event is none of its dialect's. */
export type BodyOf = (event: DeliveryEvent) => object | undefined;

export function subjectOf(environment: Environment): EventSubject {
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
] as const satisfies readonly (keyof Environment)[];

/** `evt_<at>_<uid>_<n>`: leads back to the delivery's key, for its owner alone. */
export function eventIdOf({ sk }: Key): string {
  return `evt_${sk.replaceAll("#", "_")}`;
}
