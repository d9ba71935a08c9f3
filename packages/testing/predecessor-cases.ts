import { createECDH, createPrivateKey, createPublicKey } from "node:crypto";
import { describe, expect, test } from "vitest";
import { disksOf } from "#core/store/keys.ts";
import { getUserByName } from "#core/users/record.ts";
import { plainJob } from "./catalog-requests.ts";
import { type HttpWorld, second } from "./http-world.ts";

type Shown = Readonly<Record<string, unknown>>;

const OWN_ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

/** What the predecessor's command line sends for `gpu-dev reserve -t h100 -g 2 -n my-train`. */
function reserve(id: string, more: Readonly<Record<string, string>> = {}) {
  const env_vars = { GPU_TYPE: "h100", GPU_COUNT: "2", RESERVATION_ID: id, USER_ID: "developer", ...more };
  return { ...plainJob, duration_hours: 1, env_vars };
}

/** Where the disks of the one who logged in first are. */
async function diskPartition({ ctx }: HttpWorld): Promise<string> {
  return disksOf((await getUserByName(ctx, "developer")).uid);
}

/** A public key that nobody holds, another one for each name. */
function keyLine(name: string, type: keyof typeof keyParts = "ssh-ed25519"): string {
  const parts = [Buffer.from(type), ...keyParts[type](name)];
  const blob = Buffer.concat(parts.flatMap((part) => [Buffer.from([0, 0, part.length >> 8, part.length]), part]));
  return `${type} ${blob.toString("base64")}`;
}

const application = Buffer.from("ssh:");

/** What follows the type. */
const keyParts = {
  "ssh-rsa": (name: string) => [Buffer.from([1, 0, 1]), Buffer.alloc(257, `\u0001${name}k`).fill("k", 256)],
  "ssh-ed25519": (name: string) => [pointOfEd25519(name)],
  "ecdsa-sha2-nistp256": (name: string) => [Buffer.from("nistp256"), pointOf(name, "prime256v1", 32)],
  "ecdsa-sha2-nistp384": (name: string) => [Buffer.from("nistp384"), pointOf(name, "secp384r1", 48)],
  "ecdsa-sha2-nistp521": (name: string) => [Buffer.from("nistp521"), pointOf(name, "secp521r1", 66)],
  "sk-ssh-ed25519@openssh.com": (name: string) => [pointOfEd25519(name), application],
  "sk-ecdsa-sha2-nistp256@openssh.com": (name: string) => [
    Buffer.from("nistp256"),
    pointOf(name, "prime256v1", 32),
    application,
  ],
} as const;

function pointOf(name: string, curve: string, bytes: number): Buffer {
  const pair = createECDH(curve);
  // Below the order of each of the curves.
  pair.setPrivateKey(Buffer.alloc(bytes, name).fill(0, 0, 2));
  return pair.getPublicKey();
}

function pointOfEd25519(name: string): Buffer {
  const head = Buffer.from("302e020100300506032b657004220420", "hex");
  const secret = createPrivateKey({ key: Buffer.concat([head, Buffer.alloc(32, name)]), format: "der", type: "pkcs8" });
  return Buffer.from(createPublicKey(secret).export({ format: "jwk" }).x ?? "", "base64url");
}

const SECRET = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW";

/** What the predecessor's clients rely on, on the stores of this world (docs/apis/gpu-dev.md#submit-a-job). */
export function predecessorCases(makeWorld: () => Promise<HttpWorld>): void {
  async function startWorld() {
    const world = await makeWorld();
    const key = await world.login();
    const ask = async (method: string, path: string, body?: unknown, by = key, headers = {}) => {
      const response = await world.request(method, path, { key: by, body, headers });
      return { status: response.status, body: (await response.json()) as Shown };
    };
    return { world, key, ask };
  }

  describe("RESERVATION_ID", () => {
    test("is the id of the job, and POD_NAME its name", async () => {
      const { ask } = await startWorld();

      const made = await ask("POST", "/v1/jobs/submit", reserve(OWN_ID, { POD_NAME: "my-train" }));

      expect(made).toMatchObject({ status: 200, body: { job_id: OWN_ID, status: "queued" } });
      expect(await ask("GET", `/v1/jobs/${OWN_ID}`)).toMatchObject({
        status: 200,
        body: { job_id: OWN_ID, reservation_id: OWN_ID, name: "my-train", pod_name: "gpu-dev-3f2504e0" },
      });
    });

    test("sent again with the same body is the same job, also at once and under an Idempotency-Key", async () => {
      const { ask } = await startWorld();
      const body = reserve(OWN_ID);
      const keyed = { "Idempotency-Key": "k-1" };

      const once = await Promise.all(Array.from({ length: 5 }, () => ask("POST", "/v1/jobs/submit", body)));
      const again = await ask("POST", "/v1/jobs/submit", body, undefined, keyed);

      expect([...once, again]).toEqual(Array.from({ length: 6 }, () => once[0]));
      expect(once[0]?.status).toBe(200);
      expect((await ask("GET", "/v1/jobs")).body.total).toBe(1);
    });

    test("with another body is refused, also a day later and once the job has ended", async () => {
      const { ask, world } = await startWorld();
      const refused = { status: 409, body: { detail: `Job ${OWN_ID} already exists` } };
      await ask("POST", "/v1/jobs/submit", reserve(OWN_ID));

      const other = await ask("POST", "/v1/jobs/submit", { ...reserve(OWN_ID), command: "true" });
      await ask("POST", `/v1/jobs/${OWN_ID}/cancel`);
      world.clock.advance(25 * 3_600_000);
      const later = await ask("POST", "/v1/jobs/submit", { ...reserve(OWN_ID), command: "true" }, await world.login());

      expect(other).toEqual(refused);
      expect(later).toEqual(refused);
    });

    test("of another owner is that owner's, and neither sees the other's job", async () => {
      const { ask, world } = await startWorld();
      const stranger = await world.login(second);
      await ask("POST", "/v1/jobs/submit", reserve(OWN_ID, { POD_NAME: "mine" }));

      const theirs = await ask("POST", "/v1/jobs/submit", reserve(OWN_ID, { POD_NAME: "theirs" }), stranger);

      expect(theirs).toMatchObject({ status: 200, body: { job_id: OWN_ID } });
      expect((await ask("GET", `/v1/jobs/${OWN_ID}`)).body).toMatchObject({ user_id: "developer", name: "mine" });
      expect((await ask("GET", `/v1/jobs/${OWN_ID}`, undefined, stranger)).body).toMatchObject({ name: "theirs" });
    });

    test("once in upper and once in lower case is the same job", async () => {
      const { ask } = await startWorld();

      const once = await ask("POST", "/v1/jobs/submit", reserve(OWN_ID.toUpperCase()));
      const again = await ask("POST", "/v1/jobs/submit", reserve(OWN_ID));

      expect([once.status, again]).toEqual([200, once]);
      expect((await ask("GET", "/v1/jobs")).body.total).toBe(1);
    });

    test("in upper case is the same id", async () => {
      const { ask } = await startWorld();

      const made = await ask("POST", "/v1/jobs/submit", reserve(OWN_ID.toUpperCase()));

      expect(made.body.job_id).toBe(OWN_ID);
      expect((await ask("GET", `/v1/jobs/${OWN_ID.toUpperCase()}`)).body.job_id).toBe(OWN_ID);
    });

    test.each(["", "my-job", OWN_ID.slice(0, 35), `${OWN_ID}0`, `${OWN_ID}\n`, OWN_ID.replaceAll("-", ""), "../x"])(
      "that is no UUID is refused: %j",
      async (id) => {
        const { ask } = await startWorld();

        const { status, body } = await ask("POST", "/v1/jobs/submit", reserve(id));

        const loc = ["body", "env_vars", "RESERVATION_ID"];
        const bad = { type: "value_error", loc, msg: "RESERVATION_ID must be a UUID", input: "***" };
        expect({ status, body }).toEqual({ status: 400, body: { detail: [bad] } });
        expect((await ask("GET", "/v1/jobs")).body.total).toBe(0);
      },
    );
  });

  describe("the beginning of an id", () => {
    const other = `${OWN_ID.slice(0, 9)}aaaa-41d3-9a0c-0305e82c3301`;

    test("of 4 characters or more stands for the job in every path", async () => {
      const { ask, world } = await startWorld();
      world.githubKeys.publish("octocat", keyLine("octocat"));
      await ask("POST", "/v1/jobs/submit", reserve(OWN_ID));
      await world.deliver();
      const extension = { extension_hours: 1 };

      const answers = [
        await ask("GET", `/v1/jobs/${OWN_ID.slice(0, 4)}`),
        await ask("GET", `/v1/jobs/${OWN_ID.slice(0, 7)}`),
        await ask("GET", `/v1/jobs/${OWN_ID.slice(0, 5)}/logs`),
        await ask("POST", `/v1/jobs/${OWN_ID.slice(0, 6)}/extend`, extension),
        await ask("POST", `/v1/jobs/${OWN_ID.slice(0, 4).toUpperCase()}/users`, { github_username: "octocat" }),
        await ask("POST", `/v1/jobs/${OWN_ID.slice(0, 8)}/jupyter/enable`),
        await ask("POST", `/v1/jobs/${OWN_ID.slice(0, 8)}/jupyter/disable`),
        await ask("POST", `/v1/jobs/${OWN_ID.slice(0, 35).toUpperCase()}/cancel`),
      ];

      expect(answers.map(({ status, body }) => [status, body.job_id])).toEqual(answers.map(() => [200, OWN_ID]));
    });

    test("that fits two jobs is refused, and the whole id is still that job", async () => {
      const { ask } = await startWorld();
      await ask("POST", "/v1/jobs/submit", reserve(OWN_ID));
      await ask("POST", "/v1/jobs/submit", reserve(other));

      for (const beginning of [OWN_ID.slice(0, 4), OWN_ID.slice(0, 8)]) {
        const both = await ask("POST", `/v1/jobs/${beginning}/cancel`);
        expect(both).toEqual({ status: 409, body: { detail: `Job id '${beginning}' is ambiguous` } });
      }
      expect((await ask("GET", `/v1/jobs/${other}`)).body.job_id).toBe(other);
      expect((await ask("GET", `/v1/jobs/${other.slice(0, 10)}`)).body.job_id).toBe(other);
    });

    test("names nobody else's job, and none where it is too short or no beginning", async () => {
      const { ask, world } = await startWorld();
      await ask("POST", "/v1/jobs/submit", reserve(OWN_ID));
      const stranger = await world.login(second);
      const unknown = (id: string) => ({ status: 404, body: { detail: `Job ${id} not found` } });

      expect(await ask("GET", `/v1/jobs/${OWN_ID.slice(0, 8)}`, undefined, stranger)).toEqual(
        unknown(OWN_ID.slice(0, 8)),
      );
      for (const id of [
        "3",
        OWN_ID.slice(0, 3),
        "3f2504e1",
        "3f2504e0%",
        "3f2504e04",
        "3f2504e0-4f89-",
        `${OWN_ID}0`,
      ]) {
        const asked = await ask("GET", `/v1/jobs/${encodeURIComponent(id)}`);
        expect(asked).toEqual(id.endsWith("-") ? { status: 200, body: expect.anything() } : unknown(id));
      }
    });
  });

  describe("an extension", () => {
    test("shows 1 to 3 seconds after its answer, since that client reads what was before only then", async () => {
      const { ask, world } = await startWorld();
      await ask("POST", "/v1/jobs/submit", reserve(OWN_ID));
      await world.advance(5_000);
      const path = `/v1/jobs/${OWN_ID}`;
      const { body: before } = await ask("GET", path);
      const extended = { duration_hours: 4, expires_at: "2026-01-20T22:00:00Z" };

      await ask("POST", `${path}/extend`, { extension_hours: 3 });
      const atOnce = (await ask("GET", path)).body;
      await world.advance(900);
      const early = (await ask("GET", path)).body;
      await world.advance(2_100);
      const late = (await ask("GET", path)).body;

      expect(before).toMatchObject({ status: "active", duration_hours: 1, expires_at: "2026-01-20T19:00:00Z" });
      const { duration_hours, expires_at } = before;
      const actions = [{ action: "extend", status: "requested" }];
      expect(atOnce).toMatchObject({ duration_hours, expires_at, actions });
      expect(early).toMatchObject({ duration_hours, expires_at, actions });
      expect(late).toMatchObject({ ...extended, actions: [{ action: "extend", status: "done" }] });
      expect((await ask("GET", "/v1/jobs")).body.jobs).toMatchObject([extended]);
    });

    test("of a job that waits shows as late, and two at once are both there", async () => {
      const { ask, world } = await startWorld();
      await ask("POST", "/v1/jobs/submit", {
        ...reserve(OWN_ID),
        instance_type: "p4d.24xlarge",
        env_vars: { RESERVATION_ID: OWN_ID },
      });
      await world.advance(20_000);
      const path = `/v1/jobs/${OWN_ID}`;

      await ask("POST", `${path}/extend`, { extension_hours: 1 });
      await ask("POST", `${path}/extend`, { extension_hours: 2 });
      const atOnce = (await ask("GET", path)).body;
      await world.advance(3_000);

      expect(atOnce).toMatchObject({ status: "queued", duration_hours: 1 });
      expect((await ask("GET", path)).body).toMatchObject({ status: "queued", duration_hours: 4 });
    });

    test("counts at once: a job that would end before it shows goes on", async () => {
      const { ask, world } = await startWorld();
      await ask("POST", "/v1/jobs/submit", { ...reserve(OWN_ID), duration_hours: 0.25 });
      await world.advance(1_000);
      const path = `/v1/jobs/${OWN_ID}`;
      const { expires_at } = (await ask("GET", path)).body;
      await world.advance(Date.parse(String(expires_at)) - world.clock.now() - 500);

      await ask("POST", `${path}/extend`, { extension_hours: 1 });
      await world.advance(10_000);

      expect((await ask("GET", path)).body).toMatchObject({ status: "active", duration_hours: 1.25 });
    });
  });

  describe("who gets in", () => {
    const path = `/v1/jobs/${OWN_ID}`;

    test("shows as secondary_users once the key is there, and has a command from the first active moment", async () => {
      const { ask, world } = await startWorld();
      for (const name of ["octocat", "hubot"]) world.githubKeys.publish(name, keyLine(name));
      await ask("POST", "/v1/jobs/submit", reserve(OWN_ID, { GITHUB_USER: "octocat" }));
      await world.deliver();
      const { body: active } = await ask("GET", path);

      await ask("POST", `${path}/users`, { github_username: "hubot" });
      const asked = (await ask("GET", path)).body;
      await world.deliver();
      const added = (await ask("GET", path)).body;
      const unknown = await ask("POST", `${path}/users`, { github_username: "nobody" });
      await ask("POST", `${path}/users`, { github_username: "octocat" });
      await world.deliver();

      expect(unknown.status).toBe(400);
      expect(active).toMatchObject({ status: "active", secondary_users: [] });
      expect(active.ssh_command).toMatch(/^ssh -p 2222 gpu-dev-3f2504e0-[0-9a-f]{8}@127\.0\.0\.1$/);
      expect([asked.secondary_users, added.secondary_users]).toEqual([[], ["hubot"]]);
      const [inList] = (await ask("GET", "/v1/jobs")).body.jobs as Shown[];
      expect(inList?.secondary_users).toEqual(["hubot", "octocat"]);
      expect(active.launched_at).toBe("2026-01-20T18:00:00Z");
    });

    test("has a command only where a key would get in", async () => {
      const { ask, world } = await startWorld();
      world.githubKeys.publish("octocat", keyLine("octocat"));
      world.githubKeys.publish("nobody", "");
      await ask("POST", "/v1/jobs/submit", reserve(OWN_ID, { GITHUB_USER: "nobody" }));
      const { launched_at } = (await ask("GET", path)).body;
      await world.deliver();
      const without = (await ask("GET", path)).body;

      await ask("POST", `${path}/users`, { github_username: "octocat" });
      await world.deliver();
      const { ssh_command } = (await ask("GET", path)).body;
      await ask("POST", `${path}/cancel`);

      expect(launched_at).toBeNull();
      expect(without).toMatchObject({ status: "active", node_port: 2222, ssh_command: null });
      expect(ssh_command).toEqual(expect.stringContaining("ssh -p 2222 "));
      expect((await ask("GET", path)).body.ssh_command).toBeNull();
    });

    test("is active although GitHub does not answer, and gets a command when it does", async () => {
      const { ask, world } = await startWorld();
      world.githubKeys.publish("octocat", new Error("GitHub is away"));
      await ask("POST", "/v1/jobs/submit", reserve(OWN_ID, { GITHUB_USER: "octocat" }));
      await world.advance(1_000);
      const { body: early } = await ask("GET", path);
      world.githubKeys.publish("octocat", keyLine("octocat"));
      await world.advance(30_000);

      expect(early).toMatchObject({ status: "active", ssh_command: null });
      expect((await ask("GET", path)).body.ssh_command).toEqual(expect.stringContaining("ssh -p 2222 "));
    });
  });

  describe("public keys", () => {
    const path = `/v1/jobs/${OWN_ID}`;
    const keysOf = async (world: HttpWorld) => {
      const [run] = await world.compute.listRuns();
      return world.compute.access(run?.uid ?? "", 1)?.keys;
    };

    test("of a submit and of the users action get in, without their comments and beside those of GitHub", async () => {
      const { ask, world } = await startWorld();
      world.githubKeys.publish("octocat", keyLine("octocat"));
      const ssh_public_keys = [`${keyLine("one")} me@laptop with words`, `${keyLine("two")}\n`];
      await ask("POST", "/v1/jobs/submit", { ...reserve(OWN_ID, { GITHUB_USER: "octocat" }), ssh_public_keys });
      await world.deliver();
      const before = await keysOf(world);

      const added = await ask("POST", `${path}/users`, { public_key: `${keyLine("three")} friend` });
      await world.deliver();
      await ask("POST", `${path}/users`, { public_key: keyLine("three") });
      await world.deliver();

      const [one, two, three, github] = ["one", "two", "three", "octocat"].map((name) => keyLine(name));
      expect(new Set(before)).toEqual(new Set([one, two, github]));
      expect(added.body.message).toBe("Add user request submitted for a public key (message ID: 2)");
      expect(new Set(await keysOf(world))).toEqual(new Set([one, two, three, github]));
      const { actions, secondary_users, ssh_command } = (await ask("GET", path)).body;
      expect(actions).toMatchObject([{ status: "done" }, { status: "done" }]);
      expect(secondary_users).toEqual([]);
      expect(ssh_command).toEqual(expect.stringContaining("ssh -p 2222"));
    });

    test.each(Object.keys(keyParts) as (keyof typeof keyParts)[])("may be of type %s", async (type) => {
      const { ask } = await startWorld();

      const made = await ask("POST", "/v1/jobs/submit", { ...reserve(OWN_ID), ssh_public_keys: [keyLine("k", type)] });

      expect(made.status).toBe(200);
    });

    test.each([
      "",
      "ssh-dss AAAAB3NzaC1kc3MAAACBAP1234567890123456789012345678901234567890",
      `command="true" ${keyLine("k")}`,
      `${keyLine("k")}\n${keyLine("l")}`,
      `\n${keyLine("k")}`,
      `${keyLine("k")} a\u0000b`,
      `ssh-rsa ${keyLine("k").split(" ")[1]}`,
      "ssh-ed25519",
      keyLine("k").slice(0, -4),
      `-----BEGIN OPENSSH PRIVATE KEY-----\n${SECRET}\n-----END OPENSSH PRIVATE KEY-----\n`,
      SECRET,
      `-oProxyCommand=${SECRET}`,
      `${keyLine("k")} ${"c".repeat(4_096)}`,
      "k".repeat(900_000),
    ])("that are none are refused and never shown again", async (bad) => {
      const { ask } = await startWorld();

      const made = await ask("POST", "/v1/jobs/submit", { ...reserve(OWN_ID), ssh_public_keys: [keyLine("ok"), bad] });
      const added = await ask("POST", `${path}/users`, { public_key: bad });

      expect([made.status, added.status]).toEqual([400, 400]);
      expect(made.body.detail).toMatchObject([{ loc: ["body", "ssh_public_keys", 1] }]);
      expect(added.body.detail).toMatchObject([{ loc: ["body", "public_key"] }]);
      const beside = await ask("POST", "/v1/jobs/submit", { ssh_public_keys: [bad], public_key: bad });
      const shown = JSON.stringify([made.body, added.body, beside.body]);
      if (bad !== "") expect(shown).not.toContain(JSON.stringify(bad).slice(1, 40));
      expect((await ask("GET", "/v1/jobs")).body.total).toBe(0);
    });

    test("are at most ten, and a user is a name or a key", async () => {
      const { ask } = await startWorld();
      const eleven = Array.from({ length: 11 }, (_, n) => keyLine(`${n}`));

      const made = await ask("POST", "/v1/jobs/submit", { ...reserve(OWN_ID), ssh_public_keys: eleven });
      const both = await ask("POST", `${path}/users`, { github_username: "octocat", public_key: keyLine("k") });
      const none = await ask("POST", `${path}/users`, { github_username: null });

      expect([made.status, both.status, none.status]).toEqual([400, 400, 400]);
      expect(both.body.detail).toMatchObject([{ type: "value_error", loc: ["body"] }]);
      expect(none.body.detail).toMatchObject([{ type: "missing", loc: ["body", "github_username"] }]);
    });
  });

  test("the content of a disk is what was listed at its last backup", async () => {
    const { ask, world } = await startWorld();
    await ask("POST", "/v1/disks", { disk_name: "data" });
    const path = "/v1/disks/data/content";
    const shape = { disk_name: "data", content: null, s3_path: null, snapshot_date: null };
    const none = (await ask("GET", path)).body;
    await ask("POST", "/v1/jobs/submit", { ...reserve(OWN_ID), disk_name: "data" });
    await world.advance(3_000);
    await ask("POST", `/v1/jobs/${OWN_ID}/cancel`);
    await world.advance(15_000);

    const unlisted = (await ask("GET", path)).body;
    const snapshots = (await world.ctx.table.query({ pk: await diskPartition(world) })).items.flatMap(
      (item) => (item as { snapshots?: readonly { readonly id: string }[] }).snapshots ?? [],
    );
    await world.blobs.put(`listings/${snapshots[0]?.id}`, Buffer.from(".:\nfile ü\n"));
    const listed = (await ask("GET", path)).body;

    expect(none).toEqual({ ...shape, message: "Disk 'data' has no backup yet" });
    const at = expect.stringMatching(/^2026-01-20T18:00:\d\dZ$/);
    expect(unlisted).toEqual({ ...shape, snapshot_date: at, message: "The files of this backup were not listed" });
    expect(listed).toEqual({ ...shape, content: ".:\nfile ü\n", snapshot_date: at, message: null });
    for (const [disk, by] of [
      ["other", undefined],
      ["data", await world.login(second)],
    ] as const) {
      const asked = await ask("GET", `/v1/disks/${disk}/content`, undefined, by);
      expect(asked).toEqual({ status: 404, body: { detail: `Disk '${disk}' not found` } });
    }
  });

  describe("actions", () => {
    const path = `/v1/jobs/${OWN_ID}`;

    test("toggled quickly keep their own outcomes", async () => {
      const { ask, world } = await startWorld();
      await ask("POST", "/v1/jobs/submit", reserve(OWN_ID));
      await world.deliver();

      for (const verb of ["enable", "disable", "enable"]) await ask("POST", `${path}/jupyter/${verb}`);
      await world.deliver();
      const { actions, jupyter_enabled } = (await ask("GET", path)).body;

      expect(actions).toMatchObject([
        { action: "enable_jupyter", status: "failed", error: "Superseded by request 3" },
        { action: "disable_jupyter", status: "failed", error: "Superseded by request 4" },
        { action: "enable_jupyter", status: "done", error: null },
      ]);
      expect(jupyter_enabled).toBe(true);
    });

    test("say why they are tried again, and so does the job that waits for its user's keys", async () => {
      const { ask, world } = await startWorld();
      for (const name of ["octocat", "hubot"]) world.githubKeys.publish(name, new Error("GitHub is away"));
      await ask("POST", "/v1/jobs/submit", reserve(OWN_ID, { GITHUB_USER: "octocat" }));
      await world.deliver();
      await ask("POST", `${path}/users`, { github_username: "hubot" });
      await world.deliver();
      const { body: meanwhile } = await ask("GET", path);
      for (const name of ["octocat", "hubot"]) world.githubKeys.publish(name, keyLine(name));
      await world.advance(40_000);

      const again = "GitHub does not answer; asking again for the SSH keys of";
      expect(meanwhile).toMatchObject({
        status: "active",
        status_reason: `${again} octocat, hubot`,
        actions: [{ status: "requested", error: `${again} hubot` }],
      });
      const late = { status_reason: null, actions: [{ status: "done", error: null }], secondary_users: ["hubot"] };
      expect((await ask("GET", path)).body).toMatchObject(late);
    });
  });

  test("what requests failed for is the warning of an active job, until the same succeeds", async () => {
    const { ask, world } = await startWorld();
    const path = `/v1/jobs/${OWN_ID}`;
    const warning = async () => (await ask("GET", path)).body.warning;
    const letIn = async (github_username: string, isUnknown = false) => {
      if (isUnknown) world.githubKeys.publish(github_username, new Error("GitHub is away"));
      await ask("POST", `${path}/users`, { github_username });
      if (isUnknown) world.githubKeys.publish(github_username, undefined);
      await world.deliver();
      return warning();
    };
    await ask("POST", "/v1/jobs/submit", reserve(OWN_ID));
    await world.deliver();
    world.githubKeys.publish("octocat", keyLine("octocat"));
    world.githubKeys.publish("hubot", new Error("GitHub is away"));
    const atFirst = await warning();

    const unknown = await letIn("nobody", true);
    const another = await letIn("octocat");
    const retried = await letIn("hubot");
    world.githubKeys.publish("nobody", keyLine("nobody"));
    const both = await letIn("nobody");
    await ask("POST", `${path}/cancel`);

    const failed = "add_user (request 2) failed: GitHub user 'nobody' not found";
    const away = "add_user (request 4): GitHub does not answer; asking again for the SSH keys of hubot";
    expect([atFirst, unknown, another]).toEqual([null, failed, failed]);
    expect([retried, both, await warning()]).toEqual([`${away}; ${failed}`, away, null]);
  });

  test("Jupyter is enabled only while its address answers", async () => {
    const { ask, world } = await startWorld();
    const path = `/v1/jobs/${OWN_ID}`;
    await ask("POST", "/v1/jobs/submit", reserve(OWN_ID, { JUPYTER_ENABLED: "true" }));
    const wanted = (await ask("GET", path)).body;
    await world.deliver();

    const on = (await ask("GET", path)).body;
    await ask("POST", `${path}/jupyter/disable`);

    const off = { jupyter_enabled: false, jupyter_url: null, jupyter_port: null };
    expect(wanted).toMatchObject(off);
    expect(on).toMatchObject({ jupyter_enabled: true, jupyter_url: expect.stringContaining("/lab?token=") });
    expect(on.jupyter_port).toBe(Number(new URL(String(on.jupyter_url)).port));
    expect((await ask("GET", path)).body).toMatchObject(off);
  });

  test("POD_NAME that nobody could print is refused", async () => {
    const { ask } = await startWorld();

    const answers = await Promise.all(
      ["a\u0007b", "n".repeat(129)].map((name) => ask("POST", "/v1/jobs/submit", reserve(OWN_ID, { POD_NAME: name }))),
    );

    const msg = "Name must be printable and at most 128 characters";
    for (const { status, body } of answers) {
      expect(status).toBe(400);
      expect(body).toMatchObject({ detail: [{ loc: ["body", "env_vars", "POD_NAME"], msg }] });
    }
  });

  test("the first 8 characters of ids are random", async () => {
    const { ask } = await startWorld();

    const made = await Promise.all(Array.from({ length: 20 }, () => ask("POST", "/v1/jobs/submit", plainJob)));

    expect(new Set(made.map(({ body }) => String(body.job_id).slice(0, 8))).size).toBe(20);
  });
}
