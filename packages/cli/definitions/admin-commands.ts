import { buildCommand, buildRouteMap } from "@stricli/core";
import { json, parseTime, text, wholeNumber, yes } from "./parameters.ts";

const load = () => import("../commands/account/admin.ts");
const loadLists = () => import("../commands/account/admin-lists.ts");

/** Returns one required argument. */
function oneWord(placeholder: string, brief: string) {
  return { kind: "tuple", parameters: [{ parse: String, placeholder, brief }] } as const;
}

const gpuType = oneWord("type", "GPU type, such as h100");
const username = oneWord("user", "Name of the user");
const jobId = oneWord("id", "Id of the job, or its first characters");
const nodeName = oneWord("node", "Name of the machine");
const asking = { flags: { yes, json }, aliases: { y: "yes" } } as const;
const closing = {
  flags: { yes, reason: text("Why, in words that users and operators read", "text"), json },
  aliases: { y: "yes" },
} as const;

const part = {
  zone: text("Only the machines in this zone", "zone"),
  nodeGroup: text("Only the machines of this node group of EKS", "group"),
  node: text("Only the machine of this name", "name"),
};

const at = {
  kind: "parsed",
  parse: parseTime,
  optional: true,
  brief: "From this time on, such as 2026-01-20T18:30:00Z or 90m from now: jobs that end by then still start",
  placeholder: "time",
} as const;

const user = buildRouteMap({
  routes: {
    disable: buildCommand({
      loader: async () => (await load()).disableUser,
      parameters: { ...asking, positional: username },
      docs: { brief: "Refuse a user's keys and logins" },
    }),
    enable: buildCommand({
      loader: async () => (await load()).enableUser,
      parameters: { flags: { json }, positional: username },
      docs: { brief: "Accept a user's keys and logins again" },
    }),
  },
  docs: { brief: "Disable and enable users" },
});

const node = buildRouteMap({
  routes: {
    ls: buildCommand({
      loader: async () => (await load()).listNodes,
      parameters: { flags: { json } },
      docs: { brief: "List the machines" },
    }),
    gone: buildCommand({
      loader: async () => (await load()).declareGone,
      parameters: { ...closing, positional: nodeName },
      docs: { brief: "Declare that a machine will not come back, so that its jobs end" },
    }),
    back: buildCommand({
      loader: async () => (await load()).takeBack,
      parameters: { flags: { json }, positional: nodeName },
      docs: { brief: "Take that back" },
    }),
  },
  defaultCommand: "ls",
  docs: { brief: "Machines" },
});

export const admin = buildRouteMap({
  routes: {
    jobs: buildCommand({
      loader: async () => (await load()).listJobs,
      parameters: {
        flags: {
          status: text("Only these, with commas between", "status"),
          user: text("Only of this user", "name"),
          json,
        },
      },
      docs: { brief: "List the jobs of all users" },
    }),
    end: buildCommand({
      loader: async () => (await load()).endJob,
      parameters: {
        ...closing,
        flags: {
          ...closing.flags,
          user: text("Its owner. Finds a job that was submitted a second ago too", "name"),
        },
        positional: jobId,
      },
      docs: { brief: "End a job of any user, who reads the reason" },
    }),
    pools: buildCommand({
      loader: async () => (await loadLists()).listPools,
      parameters: {
        flags: { json },
        positional: {
          kind: "tuple",
          parameters: [
            { parse: String, optional: true, placeholder: "type", brief: "GPU type, such as h100. All by default" },
          ],
        },
      },
      docs: { brief: "List machines with their holders, and the queue of each type" },
    }),
    users: buildCommand({
      loader: async () => (await loadLists()).listUsers,
      parameters: { flags: { json } },
      docs: { brief: "List the users, and whether they may log in" },
    }),
    deliveries: buildCommand({
      loader: async () => (await loadLists()).listDeliveries,
      parameters: { flags: { user: text("All of this user, ended ones too", "name"), json } },
      docs: { brief: "List webhook deliveries that wait" },
    }),
    drain: buildCommand({
      loader: async () => (await load()).drain,
      parameters: { ...closing, flags: { ...part, at, ...closing.flags }, positional: gpuType },
      docs: { brief: "Start no more jobs on one type of machine, or on a part of it" },
    }),
    undrain: buildCommand({
      loader: async () => (await load()).undrain,
      parameters: { flags: { ...part, json }, positional: gpuType },
      docs: { brief: "Start jobs on a drained type, or a part of it, again, or drop a planned drain" },
    }),
    pause: buildCommand({
      loader: async () => (await load()).pause,
      parameters: closing,
      docs: { brief: "Start no more jobs at all" },
    }),
    resume: buildCommand({
      loader: async () => (await load()).resume,
      parameters: { flags: { json } },
      docs: { brief: "Start jobs again" },
    }),
    orphans: buildCommand({
      loader: async () => (await load()).listOrphans,
      parameters: { flags: { json } },
      docs: { brief: "List runs, volumes and snapshots that no record explains" },
    }),
    audit: buildCommand({
      loader: async () => (await load()).listAudit,
      parameters: { flags: { limit: wholeNumber("So many of the newest, 50 by default", "count"), json } },
      docs: { brief: "List what operators did, newest first" },
    }),
    user,
    node,
  },
  docs: { brief: "For operators: jobs of all users, machines and admission" },
});
