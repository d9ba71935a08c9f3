import type { Policy } from "#core/environments/record/policy.ts";
import type { Size } from "#core/environments/record/record.ts";
import type { NewEnvironment } from "#core/environments/verbs/create.ts";
import { sharedType, sharedUnits } from "#core/fleet.ts";
import type { NewResource } from "#core/store/idempotency.ts";
import { HOUR_MS } from "#core/units.ts";
import type { ServedSettings } from "#http/dialects/settings.ts";
import { formatHostLabel, resources } from "../schemas.ts";

/** A guess for the plan, because a session has no end. */
const USUAL_MS = 8 * HOUR_MS;
const WORKSPACE_GB = 5;
/** The IDE, and `POST /chat`. */
const PORT = 8080;

/** Reserves the size of a scaled-up session, so that scaling never waits for capacity. */
const size: Size = {
  pool: sharedType.pool,
  instanceType: sharedType.name,
  machines: 1,
  units: sharedUnits(resources.up),
  gpus: 0,
  wantedMs: USUAL_MS,
};

/**
 * No sleep and no end unless requested, and a zip of the volume at deletion
 * (docs/apis/session-manager.md#effects-and-times).
 */
const policy: Policy = {
  time: "none",
  restarts: true,
  idle: null,
  archives: "workspace",
  readyWithinMs: null,
  firstFailure: "keeps",
  forgetsSpec: false,
};

export function newSession(settings: ServedSettings, resource: NewResource, userId: string): NewEnvironment {
  return {
    ...resource,
    name: formatHostLabel(resource.id),
    labels: { user_id: userId },
    size,
    image: settings.sessionImage,
    command: undefined,
    env: {},
    policy: settings.sessionBackup ? policy : { ...policy, archives: null },
    volumes: [{ name: "workspace", path: "/workspace", sizeGb: WORKSPACE_GB }],
    ports: [{ port: PORT, kind: "http" }],
    resources: resources.down,
    addressLabel: formatHostLabel(resource.id),
  };
}
