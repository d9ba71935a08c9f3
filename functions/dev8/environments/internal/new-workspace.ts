import type { UserContext } from "#core/context.ts";
import type { Policy } from "#core/environments/record/policy.ts";
import type { Size } from "#core/environments/record/record.ts";
import type { NewEnvironment } from "#core/environments/verbs/create.ts";
import type { StartChanges } from "#core/environments/verbs/start.ts";
import { sharedType, sharedUnits } from "#core/fleet.ts";
import type { Resources } from "#core/ports/compute.ts";
import type { NewResource } from "#core/store/idempotency.ts";
import { HOUR_MS } from "#core/units.ts";
import type { Served } from "#http/runtime.ts";
import type { WorkspaceLabels } from "../schemas.ts";
import { type StartWorkspace, variableByKey } from "./fields.ts";

/** A guess for the plan, because a workspace has no end. */
const USUAL_MS = 8 * HOUR_MS;
/** The size in the log of the published document. */
const HOME_GB = 5;
const HOME = "/home/dev8";
const WORKSPACE = `${HOME}/workspace`;
const IDE_PORT = 8080;
const SSH_PORT = 22;
const PASSWORD_BYTES = 24;

/** A failed create leaves nothing, and secrets live as long as a run (docs/apis/dev8.md#bodies-and-effects). */
const policy: Policy = {
  time: "none",
  restarts: true,
  idle: null,
  archives: null,
  readyWithinMs: null,
  firstFailure: "clears",
  forgetsSpec: true,
};

export function newWorkspace(
  ctx: Served<UserContext>,
  body: StartWorkspace & { readonly cloudProvider: string },
  { uid, isRepeat }: Pick<NewResource, "uid" | "isRepeat">,
  addressLabel: string,
): NewEnvironment {
  const resources = getResources(body);
  return {
    id: body.workspaceId,
    uid,
    isRepeat,
    name: body.name,
    labels: buildLabels(body, body),
    size: getSize(resources),
    image: getImage(ctx, body),
    command: undefined,
    env: variables(ctx, body),
    sshKeys: listSshKeys(body),
    // Use the unique label: SSH finds a workspace by its user name, and other users may have the same id.
    login: addressLabel,
    policy,
    volumes: [
      // The first volume is the working directory.
      { name: "workspace", path: WORKSPACE, sizeGb: body.storageGB },
      { name: "home", path: HOME, sizeGb: HOME_GB },
    ],
    ports: [
      { port: IDE_PORT, kind: "http" },
      { port: SSH_PORT, kind: "ssh" },
    ],
    resources,
    addressLabel,
  };
}

/** Returns the changes of a start: everything except the volumes, which keep their size. */
export function newRun(
  ctx: Served<UserContext>,
  body: StartWorkspace,
  labels: Readonly<Record<string, string>>,
): StartChanges {
  const { cloudProvider = "", storageGB } = labels;
  const resources = getResources(body);
  return {
    name: body.name,
    labels: buildLabels(body, { cloudProvider, storageGB: Number(storageGB) }),
    resources,
    size: getSize(resources),
    image: getImage(ctx, body),
    env: variables(ctx, body),
    sshKeys: listSshKeys(body),
  };
}

function listSshKeys({ sshPublicKey }: StartWorkspace): string[] {
  return sshPublicKey ? [sshPublicKey] : [];
}

function buildLabels(
  { userId, cloudRegion, cpuCores, memoryGB, baseImage }: StartWorkspace,
  { cloudProvider, storageGB }: { readonly cloudProvider: string; readonly storageGB: number },
): WorkspaceLabels {
  const numbers = { cpuCores: String(cpuCores), memoryGB: String(memoryGB), storageGB: String(storageGB) };
  return { userId, cloudProvider, cloudRegion, ...numbers, baseImage };
}

function getResources({ cpuCores, memoryGB }: StartWorkspace): Resources {
  return { cpus: cpuCores, memoryMb: Math.round(memoryGB * 1024) };
}

function getSize(resources: Resources): Size {
  const { pool, name: instanceType } = sharedType;
  return { pool, instanceType, machines: 1, units: sharedUnits(resources), gpus: 0, wantedMs: USUAL_MS };
}

function getImage({ settings }: Served<UserContext>, { baseImage }: StartWorkspace): string {
  return settings.workspaceImage.replaceAll("<base>", baseImage);
}

function variables({ ids }: UserContext, body: StartWorkspace): Record<string, string> {
  const names = Object.keys(variableByKey) as (keyof typeof variableByKey)[];
  const sent = names.flatMap((name) => (body[name] ? [[variableByKey[name], body[name]]] : []));
  return {
    [variableByKey.codeServerPassword]: ids.secret(PASSWORD_BYTES),
    ...Object.fromEntries(sent),
    WORKSPACE_ID: body.workspaceId,
    USER_ID: body.userId,
    WORKSPACE_DIR: WORKSPACE,
  };
}
