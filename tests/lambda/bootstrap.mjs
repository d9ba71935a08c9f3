// What Lambda's runtime of Node does with an unpacked zip: loads the handler, asks the runtime API for one invocation
// after another, and says what came of each (Lambda Developer Guide, "Using the Lambda runtime API for custom
// runtimes").
import { Agent, request } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// The resolver of the function's network knows these hosts; nothing else of what the function asks is answered here.
const hosts = new Map(Object.entries(JSON.parse(process.argv[2])));
if (hosts.size > 0) await answerFor(hosts);

const { AWS_LAMBDA_RUNTIME_API, LAMBDA_TASK_ROOT, _HANDLER } = process.env;
const root = `http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime`;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

const handler = await load().catch(async (error) => {
  await say("init/error", describe(error));
  process.exit(1);
});
for (;;) {
  const { headers, text } = await call("GET", "invocation/next");
  const id = headers["lambda-runtime-aws-request-id"];
  process.env._X_AMZN_TRACE_ID = headers["lambda-runtime-trace-id"];
  const deadlineMs = Number(headers["lambda-runtime-deadline-ms"]);
  const context = {
    awsRequestId: id,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    getRemainingTimeInMillis: () => deadlineMs - Date.now(),
  };
  await Promise.resolve()
    .then(() => handler(JSON.parse(text), context))
    .then(
      (value) => say(`invocation/${id}/response`, value ?? null),
      (error) => say(`invocation/${id}/error`, describe(error)),
    );
}

async function load() {
  const [file, name] = _HANDLER.split(".");
  const { [name]: found } = await import(pathToFileURL(join(LAMBDA_TASK_ROOT, `${file}.mjs`)).href);
  if (typeof found !== "function") throw new TypeError(`${_HANDLER} is not a function`);
  return found;
}

async function answerFor(hosts) {
  const { default: dns } = await import("node:dns/promises");
  const { lookup } = dns;
  dns.lookup = async (host, options) =>
    hosts.has(host) ? [{ address: hosts.get(host), family: 4 }] : lookup(host, options);
  syncBuiltinESMExports();
}

function say(path, value) {
  return call("POST", path, JSON.stringify(value));
}

function describe(error) {
  return { errorType: error?.name ?? "Error", errorMessage: error?.message ?? String(error) };
}

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const sent = request(`${root}/${path}`, { method, agent }, async (answer) => {
      let text = "";
      for await (const part of answer.setEncoding("utf8")) text += part;
      resolve({ headers: answer.headers, text });
    });
    sent.on("error", reject).end(body);
  });
}
