import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { EventEmitter } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { shellEnvironment } from "#local/shell-environment.ts";
import { type Stack, startStack } from "#local/stack.ts";
import { silentLog } from "../fixtures/log.ts";
import { isOver, type JobClient, jobClient } from "./job-client.ts";
import { eventually } from "./processes.ts";
import { exportedIn } from "./stack-fixture.ts";

const secret = `whsec_${Buffer.alloc(32, "s").toString("base64")}`;

interface Seen {
  readonly path: string;
  readonly at: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let home: string;
let stack: Stack | undefined;
let server: Server;
let origin: string;
let seen: Seen[];
/** Emits each posted body as `body`. */
let received: EventEmitter;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-webhooks-"));
  seen = [];
  received = new EventEmitter();
  server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    const { url: path = "", headers } = request;
    const id = headers["webhook-id"];
    const before = seen.filter((entry) => entry.headers["webhook-id"] === id).length;
    seen.push({ path, at: performance.now(), headers, body });
    if (path === "/hangs") return;
    response.writeHead(path === "/shaky" && before < 2 ? 500 : 204).end();
    received.emit("body", JSON.parse(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  await stack?.stop();
  server.closeAllConnections();
  server.close();
  rmSync(home, { recursive: true });
});

async function start(
  settings: Record<string, string> = {},
): Promise<{ readonly jobs: JobClient; readonly url: string; readonly key: string }> {
  const environment = { BERTH_HOME: home, PORT: "0", SWEEP_SECONDS: "1", WEBHOOK_SECRET: secret, ...settings };
  stack = await startStack({ environment, log: silentLog() });
  const { API_KEY: key = "" } = exportedIn(await shellEnvironment({ home, fresh: false }));
  return { jobs: jobClient(stack.url, key), url: stack.url, key };
}

const getStatus = ({ body }: Seen) => String((JSON.parse(body) as { status: unknown }).status);

it("a receiver gets all events of a job from the queue to its end, beside one that hangs", async () => {
  const { jobs, url, key } = await start();
  const submit = (path: string) =>
    jobs.submit({ instance_type: "c7i.8xlarge", command: "sleep 0.2", webhook_url: `${origin}${path}` });

  const hanging = await submit("/hangs");
  await jobs.until(hanging, isOver);
  const shaky = await submit("/shaky");
  await jobs.until(shaky, isOver);

  const ownValue = () => seen.filter(({ path }) => path === "/shaky");
  const isTold = () => Map.groupBy(ownValue(), ({ headers }) => headers["webhook-id"]);
  const enough = (events: ReturnType<typeof isTold>) =>
    events.size >= 4 && [...events.values()].every(({ length }) => length === 3);
  const events = await eventually(isTold, enough);
  // A step of the preparation appears if a reconcile saw it.
  const answer = new Set(ownValue().map(getStatus));
  answer.delete("preparing");
  expect(answer).toEqual(new Set(["queued", "active", "completed"]));
  for (const [id, attempts] of events) {
    expect(new Set(attempts.map(({ body }) => body)).size).toBe(1);
    const [first = 0, second = 0, third = 0] = attempts.map(({ at }) => at);
    expect([second - first >= 900, third - second >= 1_900]).toEqual([true, true]);
    for (const attempt of attempts) expectSigned(attempt, String(id));
  }
  // A delivery is stored after its receiver has answered.
  const states = async () => {
    const headers = { Authorization: `Bearer ${key}` };
    const listed = await fetch(`${url}/v1/webhooks/deliveries?environment_id=${shaky}`, { headers });
    const { deliveries } = (await listed.json()) as { deliveries: { state: string }[] };
    return [...new Set(deliveries.map(({ state }) => state))];
  };
  const isDelivered = (all: string[]) => all.length === 1 && all[0] === "delivered";
  expect(await eventually(states, isDelivered)).toEqual(["delivered"]);
});

it("a receiver hears that a job ends soon, that it was extended, and that it ends soon again", async () => {
  const { jobs } = await start({ MIN_DURATION_HOURS: "0.001" });
  const reasons: string[] = [];
  const extended = new Promise<void>((resolve, reject) => {
    received.on("body", ({ job_id, reason }: { job_id: string; reason: string | null }) => {
      if (!/^(Expires|Extended|Its time)/.test(reason ?? "")) return;
      reasons.push(String(reason));
      if (reasons.length === 1) jobs.extend(job_id, 0.002).then(resolve, reject);
    });
  });
  const machine = { instance_type: "c7i.8xlarge", duration_hours: 0.01 };
  await jobs.submit({ ...machine, command: "sleep 600", webhook_url: `${origin}/ends` });
  await extended;

  await eventually(
    () => reasons,
    (all) => all.includes("Its time is over"),
  );

  expect(reasons).toEqual([
    expect.stringMatching(/^Expires in \d seconds?$/),
    expect.stringMatching(/^Extended: expires at \S+ \d\d:\d\d UTC$/),
    expect.stringMatching(/^Expires in \d seconds?$/),
    "Its time is over",
  ]);
});

it("a private address of another machine is refused", async () => {
  const { jobs } = await start();

  const refused = ["http://10.0.0.1/", "http://169.254.169.254/latest", "http://[fd00:ec2::254]/"].map((webhook_url) =>
    jobs.submit({ instance_type: "c7i.8xlarge", webhook_url }).catch((error: Error) => error.message),
  );

  for (const text of await Promise.all(refused)) expect(text).toContain("must not point to a private address");
});

/** Checks the signatures by Node's HMAC, and by Python's if there is one. */
function expectSigned({ headers, body }: Seen, id: string): void {
  const plain = `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
  const signed = `${id}.${headers["webhook-timestamp"]}.${body}`;
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  expect(headers["x-signature-sha256"]).toBe(plain);
  expect(headers["x-webhook-signature"]).toBe(plain);
  expect(headers["webhook-signature"]).toBe(`v1,${createHmac("sha256", key).update(signed).digest("base64")}`);
  const otherName = pythonSignature(key, signed);
  if (otherName !== undefined) expect(headers["webhook-signature"]).toBe(otherName);
}

const program = `import base64, hashlib, hmac, sys
key, text = base64.b64decode(sys.argv[1]), sys.argv[2].encode()
print("v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode())`;

/** Returns Python's signature; undefined without Python. */
function pythonSignature(key: Buffer, text: string): string | undefined {
  try {
    const words = ["-c", program, key.toString("base64"), text];
    return execFileSync("python3", words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}
