import type { Settings } from "#core/settings.ts";
import { type KeptValues, keptValues } from "./lookup-cache.ts";

interface OpenDoor {
  readonly origin: string;
  readonly token: string;
}

/**
 * What this process keeps of instances: the opened doors of Jupyter, which do not change while their sealed form is the
 * same. Nothing else of an instance is kept, since it would be shown when it is so no more.
 */
export function instanceDoors(settings: Settings): KeptValues<OpenDoor> {
  const known = kept.get(settings) ?? keptValues<OpenDoor>();
  kept.set(settings, known);
  return known;
}

const kept = new WeakMap<Settings, KeptValues<OpenDoor>>();
