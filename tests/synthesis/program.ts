import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { runtime } from "@pulumi/pulumi";
import "./globals.ts";
import { run } from "../../.sst/platform/src/auto/run.ts";
import config from "../../sst.config.ts";
import { recordResources, writeRecorded } from "./recorder.ts";

/** This program runs sst.config.ts with SST's real components and records every resource. */
recordResources();

// A fake of SST's server, which components call during a deployment.
const server = createServer((request, response) => {
  let body = "";
  request.on("data", (part) => {
    body += part;
  });
  request.on("end", () => {
    const { method, params } = JSON.parse(body);
    response.end(JSON.stringify({ result: serverAnswer(method, params) }));
  });
});
// On a busy machine, these timeouts would close connections that SST is about to use.
Object.assign(server, { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 });
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
process.env.SST_SERVER = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

function serverAnswer(
  method: string,
  params: readonly { readonly handler?: string; readonly bundle?: string }[],
): unknown {
  if (method === "Provider.Aws.Bootstrap")
    return { asset: "assets", state: "state", assetEcrRegistryId: "1", version: 1 };
  if (method === "Runtime.Build")
    return { handler: params[0]?.handler, out: params[0]?.bundle, errors: [], sourcemaps: [] };
  throw new Error(`The fake of SST's server does not know ${method}`);
}

const outputs = await runtime.runInPulumiStack(() => run(config.run));
await writeRecorded(outputs);
// Open connections of SST would keep the process alive.
process.exit();
