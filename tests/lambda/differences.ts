const noCluster =
  "there is no cluster here (cluster-lives.test.ts has one): the local server runs the command in memory, the zip finds none";
const ownWords = "the WebSocket API answers what is no upgrade itself (docs/deploy-reference.md#the-web-shell)";
const ownRequests = "a function counts the requests of its own process, which serves nothing else";
const asItCame = "an HTTP API finds a route by the path as it came, and has none: 404";
const toTheShell = `CloudFront hands whatever ends as the web shell's path does to its API: ${ownWords}`;
const shell = (subject: string) => `onmemos/workspaces/shell: ${subject}`;

/** Known differences between the two ways, with reasons. The test fails for an unlisted or outdated one. */
export const differences: Readonly<Record<string, string>> = {
  "novita/stats/metrics: its success": ownRequests,
  "novita/stats/metrics: its key in the path": ownRequests,
  "onmemos/sessions/execute: its success": noCluster,
  "onmemos/workspaces/execute: its success": noCluster,
  "onmemos/workspaces/runpython: its success": noCluster,
  "onmemos/workspaces/runsh: its success": noCluster,
  [shell("its success")]: ownWords,
  [shell("no key")]: ownWords,
  [shell("a key that nobody has")]: ownWords,
  [shell("a key that is none")]: ownWords,
  [shell("its key in the path")]: ownWords,
  [shell("HEAD")]: ownWords,
  [shell("a method that it does not have")]: ownWords,
  "GET /v1/./jobs": asItCame,
  "GET /v1/x/../jobs": asItCame,
  "GET /docs/%2e%2e/openapi.json": asItCame,
  "an escaped k before a key": asItCame,
  "GET /v1/cloudrun/workspaces/a/b/shell": toTheShell,
  "GET /v1/cloudrun/workspaces/a/sh%65ll": toTheShell,
  "GET /else/v1/cloudrun/workspaces/a/shell": toTheShell,
  "TRACE of a list": "CloudFront takes seven methods, and refuses others in its own words",
  "GET with a body": "CloudFront refuses it in its own words",
  "a body that is no UTF-8": "an HTTP API hands over a body of a text type as text, in which no such byte is left",
};

/** Known differences between the frames of the web shells (shell-talks.ts). */
export const shellDifferences: Readonly<Record<string, string>> = {
  "a ping while a command runs": "a function takes the frames of a connection one after another",
  "a long result": "API Gateway meters 32 KB as one message: the frames of a result are smaller",
  "a frame over 96 KB": "what a function answers repeats its command, and API Gateway passes on 128 KB at most",
  "a frame over 128 KB": "API Gateway ends its connection",
};
