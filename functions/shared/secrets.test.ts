import { expect, test } from "vitest";
import { signedBy } from "#tests/fakes/memory-identity.ts";
import { catalogWorld, goodRequest, operator, smallJob, submitJob } from "#tests/fixtures/catalog-requests.ts";
import {
  type Caller,
  callerNamed,
  developer,
  type HttpWorld,
  httpWorld,
  loginBody,
  type Sent,
} from "#tests/worlds/http-world.ts";

const value = "hunter2-of-the-environment";
const command = "run-my-secret-command --token=abc";
const { accessKeyId, secretAccessKey, sessionToken = "" } = developer;
const named = { value, command, secretAccessKey, sessionToken };

const printed = "printed-by-the-command: 4711";
const idempotencyKey = "an-idempotency-key-that-somebody-may-guess";

/** Returns the secrets that the text contains, in clear or in a form that anyone can decode. */
function found(text: string, secrets: Readonly<Record<string, string>>): string[] {
  return Object.entries(secrets).flatMap(([name, secret]) =>
    [secret, encodeURIComponent(secret), Buffer.from(secret).toString("hex")].some((form) => text.includes(form))
      ? [name]
      : [],
  );
}

function getLog(world: HttpWorld): string {
  return JSON.stringify(world.log.lines);
}

function getDump(world: HttpWorld): string {
  return JSON.stringify(world.table.all());
}

/** A world in which a user logged in twice, ran a command, cancelled a job and made every kind of mistake. */
async function livedWorld() {
  const world = await httpWorld();
  const answers: string[] = [];
  const ask = async (method: string, path: string, sent: Parameters<HttpWorld["request"]>[2]) => {
    const response = await world.request(method, path, sent);
    answers.push(`${JSON.stringify([...response.headers])} ${await response.text()}`);
  };
  const key = await world.login();
  /** The owner is shown the command, in this one field alone. */
  const askForOwn = async (id: string) => {
    const response = await world.request("GET", `/v1/jobs/${id}`, { key });
    const { command: shown, ...rest } = (await response.json()) as Readonly<Record<string, unknown>>;
    expect([command, null]).toContain(shown);
    answers.push(`${JSON.stringify([...response.headers])} ${JSON.stringify(rest)}`);
  };
  const env_vars = { TOKEN: value };
  const first = await submitJob(world, key, { env_vars, command });
  const otherJob = await submitJob(world, key, { env_vars, command });
  const waiting = await submitJob(world, key, { env_vars, command, gpu_count: 16 });
  const { uid } = world.table.all().find((item) => item.id === first) as unknown as { readonly uid: string };
  world.compute.program(uid, { kind: "exits", code: 3, afterMs: 60_000 });
  for (let minute = 0; minute < 4; minute++) {
    await world.advance(minute === 0 ? 500 : 60_000);
    for (const id of [first, otherJob, waiting]) await askForOwn(id);
    await ask("GET", "/v1/jobs", { key });
    if (minute === 1) await ask("POST", `/v1/jobs/${otherJob}/cancel`, { key });
    if (minute === 2) await ask("POST", `/v1/jobs/${waiting}/extend`, { key, body: { extension_hours: 1 } });
  }
  await mistakes(ask, key);
  return { world, key, answers };
}

async function mistakes(
  ask: (method: string, path: string, sent: Parameters<HttpWorld["request"]>[2]) => Promise<void>,
  key: string,
): Promise<void> {
  const env_vars = { TOKEN: value, PATH: value, LIST: [value], DEEP: { value } };
  const login = "/v1/auth/aws-login";
  const stale = signedBy(developer, { url: "https://x/", amzDate: "20260120T180000Z", serverId: "x" });
  await ask("POST", "/v1/jobs/submit", { key, body: { env_vars } });
  await ask("POST", "/v1/jobs/submit", { key, body: { env_vars: value } });
  await ask("POST", "/v1/jobs/submit", { key, body: { env_vars: [value] } });
  await ask("POST", "/v1/jobs/submit", { key, body: `{"env_vars":{"TOKEN":"${value}"` });
  await ask("POST", "/v1/jobs/submit", { key, body: { ...loginBody(developer), api_key: key } });
  await ask("POST", "/v1/jobs/submit", { key: `${key}x`, body: { env_vars } });
  await ask("POST", login, { body: { ...loginBody(developer), aws_access_key_id: "short" } });
  await ask("POST", login, { body: { ...loginBody(developer), aws_access_key_id: "A".repeat(20) } });
  await ask("POST", login, { body: { ...loginBody(developer), aws_session_token: [sessionToken] } });
  await ask("POST", login, { body: { ...loginBody(developer), iam_request_url: "https://x/" } });
  await ask("POST", login, { body: { iam_request_url: "https://x/", iam_request_headers: stale.headers } });
  await ask("GET", "/v1/nothing", { headers: { "X-API-Key": key } });
  for (const path of ["v1/nothing", "v1/jobs", "api/nothing", "api/v1/nothing", "session/nothing", "v1/sessions/x/y"]) {
    await ask("GET", `/k/${key}/${path}?api_key=${key}`, {});
    await ask("PUT", `/k/x/k/${key}/${path}`, {});
  }
  await ask("GET", `/api/k/${key}`, {});
  await ask("GET", "/v1/jobs?limit=x", { key, headers: { "X-Request-ID": `Bearer ${key}` } });
}

test("no key, AWS secret, variable or command is in a log line, a record or an answer, except the login's and the owner's job", async () => {
  const { world, key, answers } = await livedWorld();
  const secrets = { ...named, key };

  expect(world.log.lines.length).toBeGreaterThan(50);
  expect(found(getLog(world), { ...secrets, accessKeyId })).toEqual([]);
  expect(found(getDump(world), { ...secrets, accessKeyId })).toEqual([]);
  expect(answers.length).toBeGreaterThan(25);
  expect(answers.flatMap((answer) => found(answer, { ...secrets, accessKeyId }))).toEqual([]);
});

test("the search for secrets works: it finds names and prefixes", async () => {
  const { world, key, answers } = await livedWorld();
  const prefix = key.slice(0, 8);

  expect(found(getLog(world), { prefix, user: "developer" })).toEqual(["prefix", "user"]);
  expect(found(getDump(world), { prefix, image: "pytorch" })).toEqual(["prefix", "image"]);
  expect(answers.flatMap((answer) => found(answer, { code: "command exited with code 3" }))).not.toEqual([]);
});

test("a secret that the error of a cluster repeats is shown to no user", async () => {
  const world = await httpWorld();
  const key = await world.login();
  Object.assign(world.compute, {
    apply: async (run: unknown) => Promise.reject(new Error(`Cannot start ${JSON.stringify(run)}`)),
  });
  await submitJob(world, key, { env_vars: { TOKEN: value }, command });

  await world.advance(60_000);

  expect(found(getDump(world), named)).toEqual([]);
  expect(found(getLog(world), named)).toEqual([]);
});

const stranger = callerNamed("stranger");

/** A world with a running job of the developer's that has printed something and has Jupyter. */
async function openedWorld() {
  const world = await catalogWorld({ callers: [stranger] });
  const key = await world.login();
  const job = await submitJob(world, key, { ...smallJob, command });
  const { uid } = world.table.all().find((item) => item.id === job) as unknown as { readonly uid: string };
  world.compute.program(uid, { kind: "exits", code: 0, afterMs: 120_000 }, { log: printed });
  await world.advance(1_000);
  const ask = async (method: string, path: string, sent: Sent) => {
    const response = await world.request(method, path, sent);
    return `${JSON.stringify([...response.headers])} ${await response.text()}`;
  };
  await ask("POST", `/v1/jobs/${job}/jupyter/enable`, { key });
  await world.advance(6_000);
  const shown = await world.request("GET", `/v1/jobs/${job}`, { key });
  const { jupyter_token } = (await shown.json()) as { readonly jupyter_token: string };
  return { world, key, job, ask, token: jupyter_token };
}

/** Returns the answers of all endpoints to this caller. Paths with a job id name this job. */
async function everyAnswer(world: HttpWorld, caller: Caller, job: string): Promise<Map<string, string>> {
  const answers = new Map<string, string>();
  for (const endpoint of world.endpoints.filter((endpoint) => !endpoint.public)) {
    // A new key each time, because some requests end their key.
    const key = await world.login(caller);
    const { method, path, sent } = await goodRequest(world, endpoint, key);
    const about = endpoint.path.includes("{job_id}") ? endpoint.path.replace("{job_id}", job) : path;
    const response = await world.request(method, about, { ...sent, key });
    answers.set(`${method} ${endpoint.path}`, `${JSON.stringify([...response.headers])} ${await response.text()}`);
  }
  return answers;
}

function listTellers(answers: ReadonlyMap<string, string>, secret: string): string[] {
  return [...answers].filter(([, text]) => found(text, { secret }).length > 0).map(([name]) => name);
}

test("a Jupyter token is shown only in its job and in the list of its owner", async () => {
  const { world, key, job, token } = await openedWorld();

  const strangers = await everyAnswer(world, stranger, job);
  const ownResponses = await Promise.all(
    ["", `/${job}`].map((path) => world.request("GET", `/v1/jobs${path}`, { key })),
  );
  const operators = await everyAnswer(world, operator, job);

  expect(token).toMatch(/^[\w-]{43}$/);
  for (const response of ownResponses) expect(await response.text()).toContain(token);
  expect([listTellers(strangers, token), listTellers(operators, token)]).toEqual([[], []]);
  expect(found(getLog(world), { token })).toEqual([]);
  expect(found(getDump(world), { token })).toEqual([]);
});

test("the output of a command is shown only to its owner in the log, before and after its end", async () => {
  const { world, key, job, ask } = await openedWorld();
  const log = `/v1/jobs/${job}/logs`;
  const before = await ask("GET", log, { key });

  const others = [await everyAnswer(world, stranger, job), await everyAnswer(world, operator, job)];
  const rest = ["", `/${job}`].map((path) => ask("GET", `/v1/jobs${path}`, { key }));
  await world.advance(240_000);
  const text = await ask("GET", log, { key, headers: { Accept: "text/plain" } });
  others.push(await everyAnswer(world, stranger, job), await everyAnswer(world, operator, job));

  expect([before, text].map((answer) => answer.includes(printed))).toEqual([true, true]);
  expect(others.flatMap((answers) => listTellers(answers, printed))).toEqual([]);
  expect((await Promise.all(rest)).flatMap((answer) => found(answer, { printed }))).toEqual([]);
  expect(found(getLog(world), { printed })).toEqual([]);
  expect(found(getDump(world), { printed })).toEqual([]);
});

test("a rotated key is shown once, and an Idempotency-Key never", async () => {
  const world = await catalogWorld();
  const key = await world.login();
  const headers = { "Idempotency-Key": idempotencyKey };
  const body = { ...smallJob, command, env_vars: { TOKEN: value }, disk_name: "data" };
  const [made, again] = [
    await world.request("POST", "/v1/jobs/submit", { key, body, headers }),
    await world.request("POST", "/v1/jobs/submit", { key, body, headers }),
  ];
  const otherResponse = await world.request("POST", "/v1/jobs/submit", { key, body: { ...body, name: "x" }, headers });
  const rotated = await world.request("POST", "/v1/keys/rotate", { key, headers });
  const { api_key: next } = (await rotated.json()) as { readonly api_key: string };
  const secrets = { ...named, key, next, idempotencyKey };
  await world.advance(5_000);

  const listed = [await world.request("GET", "/v1/keys", { key: next }), made, again, otherResponse];
  const answers = await Promise.all(listed.map((response) => response.text()));
  const revoked = await world.request("DELETE", `/v1/keys/${next.slice(0, 8)}`, { key: next });

  expect([again.headers.get("idempotency-replayed"), otherResponse.status, revoked.status]).toEqual(["true", 409, 200]);
  expect([...answers, await revoked.text()].flatMap((answer) => found(answer, secrets))).toEqual([]);
  expect(found(getLog(world), secrets)).toEqual([]);
  expect(found(getDump(world), secrets)).toEqual([]);
});
