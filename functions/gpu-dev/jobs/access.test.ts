import { beforeEach, describe, expect, it } from "vitest";
import type { Item } from "#core/ports/table.ts";
import { type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";

let world: HttpWorld;
let key: string;

beforeEach(async () => {
  world = await httpWorld({ access: { sshPort: 2222, sshHostKey: "ssh-ed25519 AAAA" } });
  key = await world.login();
});

const octocat = keyLine();

function keyLine(): string {
  const name = Buffer.from("ssh-ed25519");
  const blob = Buffer.concat([Buffer.from([0, 0, 0, name.length]), name, Buffer.alloc(36, "k")]);
  return `ssh-ed25519 ${blob.toString("base64")}`;
}

async function submit(more: object = {}): Promise<string> {
  const body = { image: "busybox", instance_type: "p5.48xlarge", ...more };
  const response = await world.request("POST", "/v1/jobs/submit", { key, body });
  return ((await response.json()) as { job_id: string }).job_id;
}

async function active(more: object = {}): Promise<string> {
  const id = await submit(more);
  await world.deliver();
  return id;
}

async function job(id: string) {
  return (await (await world.request("GET", `/v1/jobs/${id}`, { key })).json()) as Record<string, unknown>;
}

async function post(path: string, body?: unknown, as = key) {
  const response = await world.request("POST", path, { key: as, body });
  return { status: response.status, text: await response.text() };
}

const unknown = "019bdcc3-5b00-7000-8000-0123456789ab";

describe("POST /v1/jobs/{job_id}/users", () => {
  it("answers with the number of the request, and the job shows its outcome", async () => {
    const id = await active();
    world.githubKeys.publish("octocat", octocat);

    const { status, text } = await post(`/v1/jobs/${id}/users`, { github_username: "octocat" });
    await world.deliver();

    expect(status).toBe(200);
    expect(text).toBe(
      `{"job_id":"${id}","action":"add_user","status":"requested",` +
        `"message":"Add user request submitted for GitHub user 'octocat' (message ID: 2)"}`,
    );
    expect((await job(id)).actions).toMatchObject([{ id: 2, action: "add_user", status: "done", error: null }]);
  });

  it("shows the documented reasons if GitHub did not answer in time", async () => {
    const id = await active();
    for (const name of ["nobody", "empty"]) world.githubKeys.publish(name, new Error("GitHub is away"));

    await post(`/v1/jobs/${id}/users`, { github_username: "nobody" });
    await post(`/v1/jobs/${id}/users`, { github_username: "empty" });
    world.githubKeys.publish("nobody", undefined);
    world.githubKeys.publish("empty", "\n");
    await world.deliver();

    expect((await job(id)).actions).toMatchObject([
      { status: "failed", error: "GitHub user 'nobody' not found" },
      { status: "failed", error: "No SSH keys found for GitHub user 'empty'" },
    ]);
  });

  it.each([
    [{}, "missing", "Field required: github_username, or public_key in its place"],
    [{ github_username: 7 }, "string_type", "Input should be a valid string"],
    [{ github_username: "" }, "string_pattern_mismatch", expect.stringContaining("A GitHub name has 1 to 39")],
    [{ github_username: "../x" }, "string_pattern_mismatch", expect.stringContaining("A GitHub name has 1 to 39")],
    [{ github_username: "a?b" }, "string_pattern_mismatch", expect.stringContaining("A GitHub name has 1 to 39")],
    [{ github_username: "a".repeat(40) }, "string_pattern_mismatch", expect.any(String)],
  ])("refuses %j before it reads the job", async (body, type, msg) => {
    const { status, text } = await post(`/v1/jobs/${unknown}/users`, body);

    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({ detail: [{ type, loc: ["body", "github_username"], msg }] });
  });

  it.each([
    [{ github_user: "octocat" }, "github_user", "github_username"],
    [{ ssh_public_key: "ssh-ed25519 AAAA" }, "ssh_public_key", "public_key"],
  ])("names for %j the field that was meant", async (body, name, meant) => {
    const { status, text } = await post(`/v1/jobs/${unknown}/users`, body);

    const msg = `There is no field of this name. Did you mean ${meant}?`;
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({ detail: [{ type: "missing" }, { loc: ["body", name], msg }] });
  });

  it.each([
    [1_000_000, 400, "String should have at most 4096 characters"],
    [1_048_576, 413, "Request body too large"],
  ])(
    "refuses a public key of %i characters with a message that omits it, and leaves the job unchanged",
    async (length, status, words) => {
      const id = await active();
      const before = await job(id);

      const seen = await post(`/v1/jobs/${id}/users`, { public_key: "k".repeat(length) });
      await world.deliver();

      expect([seen.status, seen.text]).toEqual([status, expect.stringContaining(words)]);
      expect(seen.text).not.toContain("kkkk");
      expect(await job(id)).toEqual(before);
    },
  );

  it.each([
    [1_000_000, 400, "String should have at most 4096 characters"],
    [1_048_576, 413, "Request body too large"],
  ])(
    "refuses a submit with a public key of %i characters with a message, and creates no job",
    async (length, status, words) => {
      const body = { image: "busybox", instance_type: "p5.48xlarge", ssh_public_keys: ["k".repeat(length)] };

      const seen = await post("/v1/jobs/submit", body);

      expect([seen.status, seen.text]).toEqual([status, expect.stringContaining(words)]);
      expect(seen.text).not.toContain("kkkk");
      expect(await (await world.request("GET", "/v1/jobs", { key })).json()).toMatchObject({ total: 0 });
    },
  );

  it.each([
    ["nobody", undefined, "GitHub user 'nobody' not found"],
    ["empty", "\n", "No SSH keys found for GitHub user 'empty'"],
    ["strange", "no key at all", "No SSH keys found for GitHub user 'strange'"],
    ["n".repeat(39), undefined, `GitHub user '${"n".repeat(39)}' not found`],
  ])("is refused at once if GitHub reports no keys of %s", async (name, keys, msg) => {
    const id = await active();
    world.githubKeys.publish(name, keys);

    const { status, text } = await post(`/v1/jobs/${id}/users`, { github_username: name });

    const field = { type: "value_error", loc: ["body", "github_username"], msg, input: name };
    expect([status, JSON.parse(text)]).toEqual([400, { detail: [field] }]);
    expect((await job(id)).actions).toEqual([]);
  });

  it("checks the key first, then the fields, the job and its status", async () => {
    world.githubKeys.publish("octocat", octocat);
    const queued = await submit();
    const body = { github_username: "octocat" };

    expect((await world.request("POST", `/v1/jobs/${unknown}/users`, { body: {} })).status).toBe(401);
    expect(await post(`/v1/jobs/${unknown}/users`, body)).toEqual({
      status: 404,
      text: `{"detail":"Job ${unknown} not found"}`,
    });
    expect(await post(`/v1/jobs/${queued}/users`, body)).toEqual({
      status: 409,
      text: `{"detail":"Cannot add a user to job ${queued} in status queued"}`,
    });
  });

  it("is not found for another owner's job", async () => {
    world.githubKeys.publish("octocat", octocat);
    const id = await active();
    const otherName = await world.login(second);

    expect(await post(`/v1/jobs/${id}/users`, { github_username: "octocat" }, otherName)).toEqual({
      status: 404,
      text: `{"detail":"Job ${id} not found"}`,
    });
  });
});

describe("POST /v1/jobs/{job_id}/jupyter/enable and disable", () => {
  it("answer with the numbers of the requests and turn Jupyter on and off", async () => {
    const id = await active();

    const on = await post(`/v1/jobs/${id}/jupyter/enable`);
    const fields = await job(id);
    await world.deliver();
    const shown = await job(id);
    const off = await post(`/v1/jobs/${id}/jupyter/disable`);
    const after = await job(id);

    expect(on).toEqual({
      status: 200,
      text: `{"job_id":"${id}","action":"enable_jupyter","status":"requested","message":"Jupyter enable request submitted (message ID: 2)"}`,
    });
    expect(fields).toMatchObject({ jupyter_enabled: false, jupyter_url: null, jupyter_token: null });
    const token = String(shown.jupyter_token);
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(shown).toMatchObject({ jupyter_enabled: true, jupyter_url: `http://127.0.0.1:40123/lab?token=${token}` });
    expect(off).toEqual({
      status: 200,
      text: `{"job_id":"${id}","action":"disable_jupyter","status":"requested","message":"Jupyter disable request submitted (message ID: 3)"}`,
    });
    expect(after).toMatchObject({ jupyter_enabled: false, jupyter_url: null, jupyter_token: null });
  });

  it("show the token in the list to its owner, and in no log line", async () => {
    const id = await active();
    await post(`/v1/jobs/${id}/jupyter/enable`);
    await world.deliver();

    const list = (await (await world.request("GET", "/v1/jobs", { key })).json()) as {
      jobs: { jupyter_token: string }[];
    };
    const token = list.jobs[0]?.jupyter_token ?? "";

    expect(token).toBe((await job(id)).jupyter_token);
    expect(JSON.stringify(world.log.lines)).not.toContain(token);
    await post(`/v1/jobs/${id}/cancel`);
    expect(await job(id)).toMatchObject({ status: "cancelled", jupyter_url: null, jupyter_token: null });
  });

  it("list a job with an unreadable token without it, with the reason, and restore it with a new token", async () => {
    const [lost, kept] = [await active(), await active()];
    for (const id of [lost, kept]) await post(`/v1/jobs/${id}/jupyter/enable`);
    await world.deliver();
    const head = world.table.all().find(({ kind, id }) => kind === "environment" && id === lost);
    if (!head) throw new Error("No record");
    const access = { ...Object(head.access), jupyter: { ...Object(head.access).jupyter, token: "sealed.elsewhere" } };
    await world.table.put({ ...head, access } as Item);

    const list = await world.request("GET", "/v1/jobs", { key });
    const shown = await job(lost);
    for (const verb of ["disable", "enable"]) {
      await post(`/v1/jobs/${lost}/jupyter/${verb}`);
      await world.deliver();
    }

    expect(list.status).toBe(200);
    const without = {
      job_id: lost,
      jupyter_enabled: true,
      jupyter_url: "http://127.0.0.1:40123/lab",
      jupyter_token: null,
      status_reason:
        "Jupyter's token cannot be opened: it was sealed with another key, or changed. Disable Jupyter and enable it for a new one",
    };
    const { jobs } = (await list.json()) as { jobs: { job_id: string }[] };
    expect(jobs).toHaveLength(2);
    expect(jobs.find(({ job_id }) => job_id === lost)).toMatchObject(without);
    expect(jobs.find(({ job_id }) => job_id === kept)).toMatchObject({ jupyter_token: expect.any(String) });
    expect(shown).toMatchObject(without);
    expect(await job(lost)).toMatchObject({ jupyter_token: expect.any(String), status_reason: null });
  });

  it.each(["enable", "disable"])("check the job first, then its status: %s", async (verb) => {
    const ended = await active();
    await post(`/v1/jobs/${ended}/cancel`);
    const queued = await submit();

    const answers = [unknown, queued, ended].map((id) => post(`/v1/jobs/${id}/jupyter/${verb}`));

    expect(await Promise.all(answers)).toEqual([
      { status: 404, text: `{"detail":"Job ${unknown} not found"}` },
      {
        status: 409,
        text: `{"detail":"Cannot ${verb} Jupyter for job ${queued} in status queued"}`,
      },
      { status: 409, text: `{"detail":"Cannot ${verb} Jupyter for job ${ended} in status cancelled"}` },
    ]);
  });
});

describe("a job", () => {
  it("shows its access only while it is active", async () => {
    world.githubKeys.publish("octocat", octocat);
    const id = await submit({ github_user: "octocat" });
    const before = await job(id);
    await world.deliver();
    const during = await job(id);
    await post(`/v1/jobs/${id}/cancel`);
    const after = await job(id);

    const none = { node_ip: null, node_port: null, ssh_command: null, ssh_host_key: null };
    const pod = `gpu-dev-${id.slice(0, 8)}`;
    expect(before).toMatchObject({ ...none, pod_name: pod });
    expect(during).toMatchObject({
      pod_name: pod,
      node_ip: "127.0.0.1",
      node_port: 2222,
      ssh_host_key: "ssh-ed25519 AAAA",
      ssh_command: expect.stringMatching(new RegExp(`^ssh -p 2222 ${pod}-[0-9a-f]{8}@127\\.0\\.0\\.1$`)),
    });
    expect(after).toMatchObject(none);
  });

  it("says why an active job with a user cannot be entered, and tries again", async () => {
    let problem: string | undefined = "No port for SSH is free";
    world = await httpWorld({ access: { sshPort: 2222, sshProblem: () => problem } });
    key = await world.login();
    world.githubKeys.publish("octocat", octocat);
    const [keyed, keyless] = [await active({ github_user: "octocat" }), await active()];

    const before = [await job(keyed), await job(keyless)];
    problem = undefined;
    await world.advance(6 * 60_000);
    const after = await job(keyed);

    expect(before).toMatchObject([
      { status: "active", status_reason: "No port for SSH is free", ssh_command: null },
      { status: "active", status_reason: null, ssh_command: null },
    ]);
    expect(after).toMatchObject({ status: "active", status_reason: null, node_port: 2222 });
  });

  it.each([{ github_user: "octocat" }, { env_vars: { GITHUB_USER: "octocat" } }])(
    "admits the user of its submit: %j",
    async (more) => {
      world.githubKeys.publish("octocat", octocat);

      const id = await active(more);

      const [run] = await world.compute.listRuns();
      expect(await job(id)).toMatchObject({ status: "active", github_user: "octocat", actions: [] });
      expect(world.compute.access(run?.uid ?? "", 1)).toMatchObject({
        login: `gpu-dev-${id.slice(0, 8)}-${run?.uid.slice(0, 8)}`,
        keys: [octocat],
      });
    },
  );

  it.each([
    [{ github_user: "nobody" }, ["github_user"], "nobody"],
    [{ env_vars: { GITHUB_USER: "nobody" } }, ["env_vars", "GITHUB_USER"], "***"],
    [{ github_user: null, env_vars: { GITHUB_USER: "nobody" } }, ["env_vars", "GITHUB_USER"], "***"],
  ])("is refused if GitHub does not know its user: %j", async (more, path, input) => {
    const body = { image: "busybox", instance_type: "p5.48xlarge", ...more };

    const { status, text } = await post("/v1/jobs/submit", body);

    const field = { type: "value_error", loc: ["body", ...path], msg: "GitHub user 'nobody' not found", input };
    expect([status, JSON.parse(text)]).toEqual([400, { detail: [field] }]);
  });

  it.each([
    ["has no keys", "\n", "No SSH keys found for GitHub user 'ghost'"],
    ["is unknown, which GitHub says only later", undefined, "GitHub user 'ghost' not found"],
    ["has nothing that is a key", "<html>", "No SSH keys found for GitHub user 'ghost'"],
  ])("says as soon as it is active that its user %s, until that user is added again", async (_, keys, reason) => {
    world.githubKeys.publish("ghost", new Error("GitHub is away"));
    const id = await submit({ github_user: "ghost" });
    world.githubKeys.publish("ghost", keys);
    await world.deliver();
    const shut = await job(id);
    world.githubKeys.publish("octocat", octocat);
    await post(`/v1/jobs/${id}/users`, { github_username: "octocat" });
    await world.deliver();
    const beside = await job(id);
    world.githubKeys.publish("ghost", octocat);
    await post(`/v1/jobs/${id}/users`, { github_username: "ghost" });
    await world.deliver();

    expect(shut).toMatchObject({ status: "active", ssh_command: null, warning: reason, status_reason: reason });
    expect(beside).toMatchObject({ ssh_command: expect.any(String), warning: reason, status_reason: null });
    expect(await job(id)).toMatchObject({ warning: null, status_reason: null });
  });

  it.each(["true", "True", "1", "yes", " on ", 1, true])("has Jupyter from the start for %j", async (wish) => {
    const id = await active({ env_vars: { JUPYTER_ENABLED: wish } });

    expect(await job(id)).toMatchObject({ jupyter_enabled: true });
  });

  it("is active only once its Jupyter answers, and from then on with its URL", async () => {
    let isLate = true;
    world = await httpWorld({ access: { isJupyterLate: () => isLate } });
    key = await world.login();
    const id = await submit({ jupyter_enabled: true });
    await world.advance(20_000);
    const waiting = await job(id);
    isLate = false;
    await world.advance(6_000);

    const active = await job(id);

    expect(waiting).toMatchObject({ status: "preparing", jupyter_enabled: false, expires_at: null });
    expect(active).toMatchObject({ status: "active", jupyter_url: expect.stringContaining("/lab?token=") });
    expect((active.timeline as { status: string }[]).map(({ status }) => status)).toEqual([
      "queued",
      "preparing",
      "active",
    ]);
  });

  it("waits for its Jupyter for a minute, and shows the URL even later", async () => {
    let isLate = true;
    world = await httpWorld({ access: { isJupyterLate: () => isLate } });
    key = await world.login();
    const id = await submit({ jupyter_enabled: true });
    await world.advance(70_000);
    const without = await job(id);
    isLate = false;
    await world.advance(10_000);

    expect(without).toMatchObject({ status: "active", jupyter_enabled: false, jupyter_url: null });
    expect(Date.parse(String(without.launched_at)) - Date.parse(String(without.created_at))).toBeLessThan(63_000);
    expect(await job(id)).toMatchObject({ status: "active", jupyter_enabled: true });
  });

  it("ends with its command while it waits for Jupyter", async () => {
    world = await httpWorld({ access: { isJupyterLate: () => true } });
    key = await world.login();
    const id = await submit({ jupyter_enabled: true, command: "true" });
    const record = world.table.all().find(({ sk }) => sk === id);
    world.compute.program(String(record?.uid), { kind: "exits", code: 0, afterMs: 10_000 });
    await world.advance(20_000);

    expect(await job(id)).toMatchObject({ status: "completed", status_reason: "command exited with code 0" });
  });

  it("shows why it has no Jupyter until Jupyter is turned on again or off", async () => {
    const reason = "Jupyter is not on the PATH of this environment";
    world = await httpWorld({ access: { jupyterFault: reason } });
    key = await world.login();
    const id = await active({ env_vars: { JUPYTER_ENABLED: "true" } });

    const failed = await job(id);
    const { jobs } = (await (await world.request("GET", "/v1/jobs", { key })).json()) as { jobs: unknown[] };
    world.githubKeys.publish("nobody", new Error("GitHub is away"));
    await post(`/v1/jobs/${id}/users`, { github_username: "nobody" });
    world.githubKeys.publish("nobody", undefined);
    await world.deliver();
    const beside = await job(id);
    await post(`/v1/jobs/${id}/jupyter/disable`);
    const unwanted = await job(id);

    const unknown = "add_user (request 2) failed: GitHub user 'nobody' not found";
    const warning = `Jupyter could not be started: ${reason}`;
    expect(failed).toMatchObject({ jupyter_enabled: false, jupyter_url: null, jupyter_error: reason, warning });
    expect(jobs).toMatchObject([{ jupyter_error: reason }]);
    expect(beside).toMatchObject({ warning: `${unknown}; ${warning}` });
    expect(unwanted).toMatchObject({ jupyter_error: null, warning: unknown });
  });

  it("can be resubmitted from its own answer, with its Jupyter unless a variable says otherwise", async () => {
    const first = await job(await active({ gpu_count: 2, env_vars: { JUPYTER_ENABLED: "true" } }));

    const again = await active({ ...first, image: "busybox" });
    const without = await active({ ...first, image: "busybox", env_vars: { JUPYTER_ENABLED: "false" } });

    expect(first).toMatchObject({ status: "active", jupyter_enabled: true });
    expect(await job(again)).toMatchObject({ status: "active", jupyter_enabled: true });
    expect(await job(without)).toMatchObject({ status: "active", jupyter_enabled: false });
  });

  it("has Jupyter from the start if an old client requests it", async () => {
    const id = await active({ env_vars: { JUPYTER_ENABLED: "true" } });
    const otherName = await active({ env_vars: { JUPYTER_ENABLED: "false" } });

    expect(await job(id)).toMatchObject({ jupyter_enabled: true, jupyter_url: expect.stringContaining("/lab?token=") });
    expect(await job(otherName)).toMatchObject({ jupyter_enabled: false, jupyter_url: null });
  });
});
