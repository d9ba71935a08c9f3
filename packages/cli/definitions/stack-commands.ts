import { buildCommand, buildRouteMap } from "@stricli/core";
import { flag, json, ownJson, wholeNumber } from "./parameters.ts";

const load = () => import("../commands/stack/stack.ts");

export const stack = buildRouteMap({
  routes: {
    start: buildCommand({
      loader: async () => (await load()).start,
      parameters: { flags: { json } },
      docs: { brief: "Start it in the background, and wait until it is ready" },
    }),
    stop: buildCommand({
      loader: async () => (await load()).stop,
      parameters: { flags: { all: flag("End its environments too"), json } },
      docs: { brief: "Stop it. Environments go on, and the next start takes them over" },
    }),
    status: buildCommand({
      loader: async () => (await load()).status,
      parameters: { flags: { json } },
      docs: { brief: "Say whether it runs and where" },
    }),
    logs: buildCommand({
      loader: async () => (await import("../commands/stack/stack-logs.ts")).logs,
      parameters: {
        flags: {
          follow: flag("Go on with new lines"),
          tail: wholeNumber("So many of the last lines, 200 by default", "lines"),
          json: ownJson,
        },
        aliases: { f: "follow" },
      },
      docs: { brief: "Print the log of the stack in the background" },
    }),
  },
  docs: { brief: "The embedded stack of a checkout, in the background" },
});
