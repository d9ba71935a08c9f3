import type { Clock } from "#core/ports/clock.ts";
import type { Ids } from "#core/ports/ids.ts";

export type IdForm = keyof typeof makers;

/** Returns a new wire id. A short form (`hex8`, `seconds`) may be in use already: the caller then retries. */
export function newWireId(form: IdForm, parts: IdParts): string {
  return makers[form](parts);
}

export function shortRandom(ids: Pick<Ids, "uid">): string {
  return BigInt(`0x${ids.uid()}`).toString(36).padStart(SHORT_LENGTH, "0").slice(-SHORT_LENGTH);
}

interface IdParts {
  readonly ids: Ids;
  readonly clock: Pick<Clock, "now">;
}

const SHORT_LENGTH = 12;

const makers = {
  uid: ({ ids }) => ids.uid(),
  uuid4: ({ ids }) => ids.uuid4(),
  hex8: ({ ids }) => ids.uid().slice(0, 8),
  inst: ({ ids }) => `inst_${shortRandom(ids)}`,
  seconds: ({ clock }) => String(Math.floor(clock.now() / 1000)),
} as const satisfies Record<string, (parts: IdParts) => string>;
