import type { OpenJupyter } from "#core/environments/record/changes/access.ts";
import type { Settings } from "#core/settings.ts";
import { type KeptValues, keptValues } from "./lookup-cache.ts";

/**
 * What this process keeps of instances: the opened tokens of Jupyter, which do not change while their sealed form is the
 * same. Nothing else of an instance is kept, since it would be shown when it is so no more.
 */
export function openedJupyter(settings: Settings): KeptValues<OpenJupyter> {
  const knownKeptValues = kept.get(settings) ?? keptValues<OpenJupyter>();
  kept.set(settings, knownKeptValues);
  return knownKeptValues;
}

const kept = new WeakMap<Settings, KeptValues<OpenJupyter>>();
