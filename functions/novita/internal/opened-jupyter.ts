import type { OpenJupyter } from "#core/environments/record/changes/access.ts";
import type { Settings } from "#core/settings.ts";
import { type KeptValues, keptValues } from "./lookup-cache.ts";

/**
 * Caches opened tokens of Jupyter, which are constant for one sealed form. No other part of an instance is cached,
 * because it would go stale.
 */
export function openedJupyter(settings: Settings): KeptValues<OpenJupyter> {
  const values = kept.get(settings) ?? keptValues<OpenJupyter>();
  kept.set(settings, values);
  return values;
}

const kept = new WeakMap<Settings, KeptValues<OpenJupyter>>();
