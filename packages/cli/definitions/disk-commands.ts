import { buildCommand, buildRouteMap } from "@stricli/core";
import { flag, json, text, watch, wholeNumber, yes } from "./parameters.ts";

const load = () => import("../commands/disks.ts");

const disk = { parse: String, placeholder: "disk", brief: "Name of the disk" } as const;
const newName = { parse: String, placeholder: "new-name", brief: "Name of the new disk" } as const;
const oneName = { kind: "tuple", parameters: [disk] } as const;
const twoNames = { kind: "tuple", parameters: [disk, newName] } as const;

const ls = buildCommand({
  loader: async () => (await load()).list,
  parameters: {
    flags: { deleted: flag("Only those that can be brought back"), watch, json },
    aliases: { w: "watch" },
  },
  docs: { brief: "List your disks" },
});

const create = buildCommand({
  loader: async () => (await load()).create,
  parameters: { flags: { size: wholeNumber("Size in GB, 100 by default", "gb"), json }, positional: oneName },
  docs: { brief: "Make a disk" },
});

const rm = buildCommand({
  loader: async () => (await load()).remove,
  parameters: { flags: { yes, json }, aliases: { y: "yes" }, positional: oneName },
  docs: { brief: "Delete a disk. It can be brought back for 30 days" },
});

const undelete = buildCommand({
  loader: async () => (await load()).undelete,
  parameters: { flags: { json }, positional: oneName },
  docs: { brief: "Bring a deleted disk back" },
});

const rename = buildCommand({
  loader: async () => (await load()).rename,
  parameters: { flags: { json }, positional: twoNames },
  docs: { brief: "Give a disk another name" },
});

const snapshots = buildCommand({
  loader: async () => (await load()).snapshots,
  parameters: { flags: { json }, positional: oneName },
  docs: { brief: "List the snapshots of a disk" },
});

const snapshot = buildCommand({
  loader: async () => (await load()).snapshot,
  parameters: { flags: { json }, positional: oneName },
  docs: { brief: "Make a snapshot of a disk and wait until it is completed" },
});

const restore = buildCommand({
  loader: async () => (await load()).restore,
  parameters: {
    flags: { snapshot: text("Snapshot, the newest completed one by default", "id"), json },
    positional: twoNames,
  },
  docs: { brief: "Make a new disk of a snapshot" },
});

const lsFiles = buildCommand({
  loader: async () => (await load()).listFiles,
  parameters: { flags: { json }, positional: oneName },
  docs: { brief: "List the files that the last backup saw" },
});

export const disks = buildRouteMap({
  routes: { ls, create, rm, rename, undelete, snapshot, snapshots, restore, "ls-files": lsFiles },
  defaultCommand: "ls",
  docs: { brief: "Your disks" },
});
