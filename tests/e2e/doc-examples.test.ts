import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import {
  actionMessages,
  closed,
  creationMessage,
  deletionMessage,
  diskRequest,
  documentedJobKeys,
  furtherJobKeys,
  input,
  issued,
  newDisk,
  pools,
  serviceInfo,
  timestamp,
} from "./doc-answers.ts";
import { type Answer, exampleNumbers, runExample, transcription } from "./doc-examples.ts";
import { type Job, type JobClient, jobClient } from "./job-client.ts";
import { eventually } from "./processes.ts";
import { missingPrograms } from "./program.ts";
import { openStackFixture, root, type StackProcess } from "./stack-fixture.ts";

const documentPath = join(root, "../shared/seeds/004-gpu-dev-api.md");
const missing = missingPrograms("bash", "curl", "jq");
const fixture = openStackFixture("berth-examples-");
const ran = new Set<number>();
let github: Server;
let stack: StackProcess;
let key: string;
let jobs: JobClient;

beforeAll(async () => {
  github = createServer((request, response) => {
    if (request.url === "/jeanschmidt.keys") response.end(`${newSshKey().public}\n`);
    else response.writeHead(404).end();
  }).listen(0, "127.0.0.1");
  await once(github, "listening");
  const { port } = github.address() as AddressInfo;
  stack = await fixture.start({ GITHUB_KEYS_URL: `http://127.0.0.1:${port}/<user>.keys` });
  key = (await stack.env()).API_KEY ?? "";
  jobs = jobClient(stack.url, key);
});

afterAll(async () => {
  await fixture.close();
  github.close();
});

beforeEach(({ skip }) => skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`));

/** The examples run in an order in which each finds what it needs. */
describe("the document's examples", () => {
  it("log in, and show the service without a key", async () => {
    const env = await stack.env();
    const login = await getAnswer(1, credentialWords(env));
    const health = await getAnswer(2);
    const info = await getAnswer(3);

    expect(login).toStrictEqual({ ...issued, aws_arn: expect.stringContaining(":assumed-role/"), ttl_hours: 2 });
    expect(String(login.key_prefix)).toBe(String(login.api_key).slice(0, 8));
    expect(health).toMatchObject({ status: "healthy", database: "healthy", queue: "healthy", timestamp });
    expect(info).toStrictEqual(serviceInfo);
  });

  it("submit a job, read it, change it and cancel it", async () => {
    const submitted = await getAnswer(4);
    const id = String(submitted.job_id);
    await jobs.until(id, ({ status }) => status === "active");
    const job = await getAnswer(5, idWords(id));
    const [all, byStatus, page] = await listAnswers(6);
    const actions = [];
    for (const number of [8, 9, 10, 11]) actions.push(await getAnswer(number, idWords(id)));
    await untilClosed(id);
    actions.push(await getAnswer(7, idWords(id)));
    const ended = await untilClosed(id);

    expect(submitted).toStrictEqual({
      job_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      status: "queued",
      message: "Job submitted successfully to queue (message ID: 1)",
      estimated_start_time: null,
      gpu_hours: 32,
      warning: "No disk: files in $WORKSPACE and the home are lost when the job ends",
    });
    expect(Object.keys(job)).toEqual([...documentedJobKeys, ...furtherJobKeys, "command", "actions", "timeline"]);
    expect(job).toMatchObject({ ...input, job_id: id, reservation_id: id, user_id: "developer", status: "active" });
    expect([all, byStatus, page]).toMatchObject([
      { jobs: [{ job_id: id }], total: 1, limit: 50, offset: 0 },
      { jobs: [{ job_id: id }], total: 1, limit: 50, offset: 0 },
      { jobs: [], total: 1, limit: 10, offset: 20 },
    ]);
    const listed = (all?.jobs ?? []) as readonly object[];
    expect(listed.map((entry) => Object.keys(entry))).toEqual([[...documentedJobKeys, ...furtherJobKeys]]);
    expect(actions).toStrictEqual(
      Object.entries(actionMessages).map(([action, message], at) => ({
        job_id: id,
        action,
        status: "requested",
        message: `${message} (message ID: ${at + 2})`,
      })),
    );
    expect(ended).toMatchObject({ status: "cancelled", duration_hours: 6 });
    expect(ended.actions.filter(({ action }) => action !== "enable_jupyter").map(getOutcome)).toEqual([
      "extend: done, null",
      "disable_jupyter: done, null",
      "add_user: done, null",
      "cancel: done, null",
    ]);
  });

  it("turn Jupyter on, or show the reason why not", async () => {
    const id = await jobs.submit({ instance_type: "g4dn.2xlarge" });
    await jobs.until(id, ({ status }) => status === "active");

    await getAnswer(9, idWords(id));
    const job = await untilClosed(id, 60_000);
    const on = await getAnswer(5, idWords(id));
    await getAnswer(10, idWords(id));
    const { actions } = await untilClosed(id);
    const off = await getAnswer(5, idWords(id));

    expect(job.actions.map(getOutcome)[0]).toMatch(
      /^enable_jupyter: (done, null|failed, Jupyter is not on the PATH of this environment: \/.+)$/,
    );
    const isOn = job.actions[0]?.status === "done";
    expect(on).toMatchObject({
      jupyter_enabled: isOn,
      jupyter_url: isOn ? expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/lab\?token=/) : null,
      jupyter_token: isOn ? expect.any(String) : null,
    });
    expect(actions.map(getOutcome)[1]).toBe("disable_jupyter: done, null");
    expect(off).toMatchObject({ jupyter_enabled: false, jupyter_url: null, jupyter_token: null });
  });

  it("show the cluster", async () => {
    const availability = await getAnswer(12);
    // The ledger of a pool learns that a job is active some time after the job.
    const status = await eventually(
      () => getAnswer(13),
      ({ preparing_reservations: preparing }) => preparing === 0,
    );

    // Berth adds these keys (docs/apis/gpu-dev.md#capacity).
    const offer = {
      instance_type: expect.any(String),
      open: true,
      closed_reason: null,
      largest_free: expect.any(Number),
      scalable: 0,
    };
    const shown = Object.entries(pools).map(([type, pool]) => {
      return [type, { ...pool, ...offer, count_options: expect.any(Array) }];
    });
    expect(availability).toStrictEqual({ availability: Object.fromEntries(shown), timestamp });
    expect(status).toStrictEqual({
      total_gpus: 29,
      available_gpus: expect.any(Number),
      in_use_gpus: expect.any(Number),
      queued_gpus: 0,
      active_reservations: expect.any(Number),
      preparing_reservations: 0,
      queued_reservations: 0,
      pending_reservations: 0,
      by_gpu_type: pools,
      // Berth adds this key (docs/apis/gpu-dev.md#capacity).
      estimate_errors: expect.any(Object),
      timestamp,
    });
  });

  it("create a disk, find it, rename it with its snapshot, and delete another of its old name", async () => {
    const created = await getAnswer(14);
    const creation = await completedOperation(created);
    const disks = await getAnswer(15);
    const disk = await getAnswer(16);
    await backUpOnce("my-training-data");
    const renamed = await getAnswer(19);
    await completedOperation(await getAnswer(14));
    const deleted = await getAnswer(17);
    const deletion = await completedOperation(deleted);

    expect(created).toStrictEqual({ ...diskRequest, action: "create", message: creationMessage });
    expect(creation).toStrictEqual({ ...closed, action: "create", is_deleted: false, delete_date: null });
    expect(disk).toStrictEqual(newDisk);
    expect(disks).toStrictEqual({ disks: [newDisk], total: 1 });
    expect(renamed).toStrictEqual({
      message: "Disk renamed from 'my-training-data' to 'my-training-data-v2' (1 snapshots updated)",
      old_name: "my-training-data",
      new_name: "my-training-data-v2",
      snapshots_updated: 1,
    });
    const on = inThirtyDays(String(deleted.requested_at));
    expect(deleted).toStrictEqual({ ...diskRequest, action: "delete", message: `${deletionMessage} ${on}` });
    expect(deletion).toStrictEqual({ ...closed, action: "delete", is_deleted: true, delete_date: on });
    expect(await getAnswer(16)).toMatchObject({ is_deleted: true, snapshot_count: 0 });
    expect(await getAnswer(15)).toMatchObject({ disks: [{ disk_name: "my-training-data-v2", snapshot_count: 1 }] });
  });

  it("rotate the key, while the old one stays valid for another minute", async () => {
    const old = String((await getAnswer(1, credentialWords(await stack.env()))).api_key);
    const input = Date.now();
    const [rotated] = await listAnswers(20, {}, old);
    const { api_key: fresh } = rotated as { api_key: string };

    const byNew = (await listAnswers(15, {}, fresh))[0];
    const byOld = (await listAnswers(15, {}, old))[0];
    const { keys } = await getKeys(fresh);

    expect(rotated).toStrictEqual({ ...issued });
    expect(fresh).not.toBe(old);
    expect(byNew).toMatchObject({ disks: expect.any(Array) });
    expect(byOld).toEqual(byNew);
    const { expires_at = "" } = keys.find(({ key_prefix }) => key_prefix === old.slice(0, 8)) ?? {};
    expect(Date.parse(expires_at) - Date.now()).toBeLessThanOrEqual(60_000);
    // Times have whole seconds.
    expect(Date.parse(expires_at) - input).toBeGreaterThan(58_000);
  });

  it("are all included here, 20 in number", () => {
    expect(exampleNumbers).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
    expect([...ran].sort((a, b) => a - b)).toEqual(exampleNumbers);
  });

  // The document is not in the repository. It is compared if it lies beside the checkout.
  if (existsSync(documentPath)) {
    it("equal the printed ones", () => {
      const document = readFileSync(documentPath, "utf8");

      const blocks = document.matchAll(/^### (\d+\. .+)\n[\s\S]*?^\*\*Examples?:\*\*\n```bash\n([\s\S]*?)^```$/gm);

      const printed = Array.from(blocks, ([, heading, commands]) => `### ${heading}\n${commands}`);
      expect(transcription).toBe(printed.join("\n"));
    });
  }
});

type Body = Answer["body"];
type Words = Readonly<Record<string, string>>;

/** Runs an example of one command, whose answer must be 200. */
async function getAnswer(number: number, words: Words = {}): Promise<Body> {
  const [body, ...more] = await listAnswers(number, words);
  if (body === undefined || more.length > 0) throw new Error(`Example ${number} is not one command`);
  return body;
}

async function listAnswers(number: number, words: Words = {}, presented = key): Promise<Body[]> {
  ran.add(number);
  const variables = { API_URL: stack.url, API_KEY: presented };
  const answers = await runExample(fixture.home, number, { words, variables });
  expect(answers.map(({ status, body }) => (status === 200 ? status : { status, body }))).toEqual(
    answers.map(() => 200),
  );
  return answers.map(({ body }) => body);
}

function credentialWords(env: Words): Words {
  const words = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"].map((name) => {
    const printed = name === "aws_access_key_id" ? "ASIA..." : "...";
    return [`"${name}": "${printed}"`, `"${name}": "${env[name.toUpperCase()]}"`];
  });
  return Object.fromEntries(words);
}

function idWords(id: string): Words {
  return { "abc-123-def-456": id };
}

/** Polls an operation on the printed disk by the document's example until it completes. */
function completedOperation({ operation_id: id }: Body): Promise<Body> {
  return eventually(
    () => getAnswer(18, { "op-123-abc": String(id) }),
    ({ completed }) => completed === true,
  );
}

async function backUpOnce(disk: string): Promise<void> {
  const command = "echo kept > $WORKSPACE/file";
  await jobs.submit({ instance_type: "c7i.8xlarge", disk_name: disk, command });
  await eventually(
    () => getAnswer(16),
    ({ snapshot_count, is_backing_up }) => snapshot_count === 1 && is_backing_up === false,
  );
}

async function getKeys(presented: string) {
  const headers = { authorization: `Bearer ${presented}` };
  const response = await fetch(`${stack.url}/v1/keys`, { headers });
  return (await response.json()) as { keys: readonly { key_prefix: string; expires_at: string }[] };
}

/** Reads a job until each of its requests has a result. A cancel has one when nothing runs any more. */
function untilClosed(id: string, withinMs?: number): Promise<Job> {
  return jobs.until(id, ({ actions }) => actions.every(({ status }) => status !== "requested"), withinMs);
}

function getOutcome({ action, status, error }: Job["actions"][number]): string {
  return `${action}: ${status}, ${error}`;
}

function inThirtyDays(from: string): string {
  return new Date(Date.parse(from) + 30 * 24 * 3_600_000).toISOString().slice(0, 10);
}
