import { buildCommand } from "@stricli/core";
import { flag, json, optionalWord, ownJson, text, words } from "./parameters.ts";

/** Definitions only: what a command runs is loaded once it is called. */
const load = () => import("../commands/account/account.ts");

export const login = buildCommand({
  loader: async () => (await load()).login,
  parameters: {
    flags: {
      keyStdin: flag("Take a key from standard input instead"),
      user: text("User of the local stack, developer by default", "name"),
      awsProfile: text("AWS profile", "name"),
      serverId: text("Id of the deployment, as its operators tell it. Else you are asked at the first login", "id"),
      json,
    },
    positional: optionalWord("url", "Address of the deployment. The local stack's by default"),
  },
  docs: {
    brief: "Log in with your AWS identity, or as the local stack's user",
    fullDescription:
      "Signs a question to AWS about who you are. No AWS secret is sent to Berth. The key is kept in a file that only you can read, and renewed when it expires.",
  },
});

export const logout = buildCommand({
  loader: async () => (await load()).logout,
  parameters: {
    flags: { json: ownJson },
    positional: optionalWord("url", "Address of the deployment. The last login's by default"),
  },
  docs: { brief: "Revoke the key and forget it" },
});

export const me = buildCommand({
  loader: async () => (await load()).me,
  parameters: { flags: { json } },
  docs: { brief: "Show who you are, your key and your limits" },
});

export const web = buildCommand({
  loader: async () => (await import("../commands/account/web.ts")).web,
  parameters: {
    flags: { noOpen: flag("Print the link instead of starting a browser"), json: flag("Print the link as JSON") },
  },
  docs: {
    brief: "Open the web console, logged in",
    fullDescription:
      "Gets a code that logs one browser in as you, and opens the console with it. The link works once, for a minute. " +
      "The browser keeps a session of its own until your login ends: berth keys ls shows it, and berth keys revoke ends it.",
  },
});

export const env = buildCommand({
  loader: async () => (await load()).env,
  parameters: { flags: { json } },
  docs: { brief: 'Print API_URL and API_KEY for a shell: eval "$(berth env)"' },
});

export const api = buildCommand({
  loader: async () => (await import("../commands/api.ts")).api,
  parameters: {
    flags: { data: text("JSON to send, or - for standard input", "json"), json: flag("Print the answer in one line") },
    aliases: { d: "data" },
    positional: words("method path", "Method, GET by default, and path"),
  },
  docs: { brief: "Call any path of the API" },
});

export const version = buildCommand({
  loader: async () => (await import("../commands/stack/version.ts")).showVersion,
  parameters: { flags: { json } },
  docs: { brief: "Print the version" },
});
