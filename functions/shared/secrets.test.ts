import { expect, test } from "vitest";
import { submitJob } from "#testing/catalog-requests.ts";
import { developer, type HttpWorld, httpWorld, loginBody } from "#testing/http-world.ts";
import { signedBy } from "#testing/memory-identity.ts";

const value = "hunter2-of-the-environment";
const command = "run-my-secret-command --token=abc";
const { accessKeyId, secretAccessKey, sessionToken = "" } = developer;
const named = { value, command, secretAccessKey, sessionToken };

/** What of these can be read in the text, in clear or in a form that any reader undoes. */
function found(text: string, secrets: Readonly<Record<string, string>>): string[] {
  return Object.entries(secrets).flatMap(([name, secret]) =>
    [secret, encodeURIComponent(secret), Buffer.from(secret).toString("hex")].some((form) => text.includes(form))
      ? [name]
      : [],
  );
}

function logOf(world: HttpWorld): string {
  return JSON.stringify(world.log.lines);
}

function dumpOf(world: HttpWorld): string {
  return JSON.stringify(world.table.all());
}

/** A world in which somebody logged in twice, ran a command to its end, cancelled a job and made every kind of mistake. */
async function livedWorld() {
  const world = await httpWorld();
  const answers: string[] = [];
  const ask = async (method: string, path: string, sent: Parameters<HttpWorld["request"]>[2]) => {
    const response = await world.request(method, path, sent);
    answers.push(`${JSON.stringify([...response.headers])} ${await response.text()}`);
  };
  const key = await world.login();
  const env_vars = { TOKEN: value };
  const first = await submitJob(world, key, { env_vars, command });
  const other = await submitJob(world, key, { env_vars, command });
  const waiting = await submitJob(world, key, { env_vars, command, gpu_count: 16 });
  const { uid } = world.table.all().find((item) => item.id === first) as unknown as { readonly uid: string };
  world.compute.program(uid, { kind: "exits", code: 3, afterMs: 60_000 });
  for (let minute = 0; minute < 4; minute++) {
    await world.advance(minute === 0 ? 500 : 60_000);
    for (const id of [first, other, waiting]) await ask("GET", `/v1/jobs/${id}`, { key });
    await ask("GET", "/v1/jobs", { key });
    if (minute === 1) await ask("POST", `/v1/jobs/${other}/cancel`, { key });
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
  await ask("GET", "/v1/jobs?limit=x", { key, headers: { "X-Request-ID": `Bearer ${key}` } });
}

test("no key, AWS secret, environment value or command is in a log line, a record, or an answer but the login's", async () => {
  const { world, key, answers } = await livedWorld();
  const secrets = { ...named, key };

  expect(world.log.lines.length).toBeGreaterThan(50);
  expect(found(logOf(world), { ...secrets, accessKeyId })).toEqual([]);
  expect(found(dumpOf(world), { ...secrets, accessKeyId })).toEqual([]);
  expect(answers.length).toBeGreaterThan(25);
  expect(answers.flatMap((answer) => found(answer, { ...secrets, accessKeyId }))).toEqual([]);
});

test("what was to be found would have been found: the same search sees names and prefixes", async () => {
  const { world, key, answers } = await livedWorld();
  const prefix = key.slice(0, 8);

  expect(found(logOf(world), { prefix, user: "developer" })).toEqual(["prefix", "user"]);
  expect(found(dumpOf(world), { prefix, image: "pytorch" })).toEqual(["prefix", "image"]);
  expect(answers.flatMap((answer) => found(answer, { code: "command exited with code 3" }))).not.toEqual([]);
});

test("a cluster whose error repeats what it was given tells it to nobody", async () => {
  const world = await httpWorld();
  const key = await world.login();
  Object.assign(world.compute, {
    apply: async (run: unknown) => Promise.reject(new Error(`Cannot start ${JSON.stringify(run)}`)),
  });
  await submitJob(world, key, { env_vars: { TOKEN: value }, command });

  await world.advance(60_000);

  expect(found(dumpOf(world), named)).toEqual([]);
  expect(found(logOf(world), named)).toEqual([]);
});
