import { describe, expect, test } from "vitest";
import type { Table } from "#core/ports/table.ts";
import { plainJob } from "#tests/fixtures/catalog-requests.ts";
import { type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";

const HOUR = 3_600_000;
const creates = [
  { path: "/v1/jobs/submit", body: plainJob, other: { ...plainJob, gpu_count: 1 }, made: "environment" },
  { path: "/v1/disks", body: { disk_name: "data" }, other: { disk_name: "data", size_gb: 20 }, made: "disk" },
] as const;

/** A world whose table may be made to fail, a key, and how often something was made. */
async function createWorld() {
  const faults: { beforePut?: (pk: string) => Promise<void> | void; afterPut?: (pk: string) => void } = {};
  const world = await httpWorld({
    wrap: (ports) => ({ ...ports, table: faulty(ports.table, faults) }),
  });
  const key = await world.login();
  const post = async (path: string, body: unknown, idempotency?: string, by = key) => {
    const headers = idempotency === undefined ? {} : { "Idempotency-Key": idempotency };
    const response = await world.request("POST", path, { key: by, body, headers });
    const replayed = response.headers.get("idempotency-replayed");
    return { status: response.status, text: await response.text(), replayed };
  };
  const count = (kind: string) => world.table.all().filter((item) => item.kind === kind).length;
  return { world, key, post, count, faults };
}

function faulty(
  table: Table,
  faults: { beforePut?: (pk: string) => Promise<void> | void; afterPut?: (pk: string) => void },
): Table {
  return {
    ...table,
    put: async (item, options) => {
      await faults.beforePut?.(item.pk);
      await table.put(item, options);
      faults.afterPut?.(item.pk);
    },
  };
}

test("an extension under a key is made once, even if its answer was lost after any of its writes", async () => {
  for (let died = 0; died <= 3; died++) {
    const { post, world, key, faults } = await createWorld();
    const job = (JSON.parse((await post("/v1/jobs/submit", { ...plainJob, duration_hours: 1 })).text) as Job).job_id;
    let writes = 0;
    faults.afterPut = () => {
      if (++writes === died) throw new Error("gone");
    };
    await post(`/v1/jobs/${job}/extend`, { extension_hours: 2 }, "k-1");
    delete faults.afterPut;

    const again = await post(`/v1/jobs/${job}/extend`, { extension_hours: 2 }, "k-1");
    const otherEntry = await post(`/v1/jobs/${job}/extend`, { extension_hours: 3 }, "k-1");

    expect(again).toMatchObject({ status: 200, replayed: "true" });
    expect(otherEntry).toMatchObject({ status: 409 });
    // An extension shows a little after its answer.
    await world.advance(3_000);
    const shown = await (await world.request("GET", `/v1/jobs/${job}`, { key })).json();
    expect(shown).toMatchObject({ duration_hours: 3, actions: [{ id: 2, action: "extend" }] });
  }
});

test("a repeat finishes a rename under a key that died after any of its writes", async () => {
  for (let died = 1; died <= 4; died++) {
    const { post, faults } = await createWorld();
    await post("/v1/disks", { disk_name: "old" });
    let writes = 0;
    faults.afterPut = () => {
      if (++writes === died) throw new Error("gone");
    };
    await post("/v1/disks/old/rename", { new_name: "new" }, "k-1");
    delete faults.afterPut;

    const again = await post("/v1/disks/old/rename", { new_name: "new" }, "k-1");

    expect(again, `died after write ${died}`).toMatchObject({ status: 200, replayed: "true" });
    expect(JSON.parse(again.text)).toMatchObject({ old_name: "old", new_name: "new" });
  }
});

const keyBytes = [0, 0, 0, 11, ...Buffer.from("ssh-ed25519"), 0, 0, 0, 32, ...Buffer.alloc(32, "b")];
const publicKey = `ssh-ed25519 ${Buffer.from(keyBytes).toString("base64")}`;

test.each([
  ["a GitHub user", { github_username: "octocat" }],
  ["a public key", { public_key: publicKey }],
])(
  "%s under a key is admitted by one request, even if its answer was lost after any of its writes",
  async (_, user) => {
    for (let died = 1; died <= 3; died++) {
      const { post, world, key, faults } = await createWorld();
      world.githubKeys.publish("octocat", publicKey);
      const job = (JSON.parse((await post("/v1/jobs/submit", plainJob)).text) as Job).job_id;
      await world.advance(5_000);
      let writes = 0;
      faults.afterPut = () => {
        if (++writes === died) throw new Error("gone");
      };
      await post(`/v1/jobs/${job}/users`, user, "k-1");
      delete faults.afterPut;

      const again = await post(`/v1/jobs/${job}/users`, user, "k-1");

      expect(again, `died after write ${died}`).toMatchObject({ status: 200, replayed: "true" });
      const shown = await (await world.request("GET", `/v1/jobs/${job}`, { key })).json();
      expect(shown).toMatchObject({ actions: [{ id: 2, action: "add_user" }] });
    }
  },
);

test.each([
  ["delete", "DELETE", "/v1/disks/data", 0],
  ["undelete", "POST", "/v1/disks/data/undelete", 0],
  ["delete", "DELETE", "/v1/disks/data", 5_000],
  ["undelete", "POST", "/v1/disks/data/undelete", 5_000],
])(
  "the %s of a disk under a key is one request although its answer was lost: %s %s, repeated after %i ms",
  async (action, method, path, later) => {
    for (let died = 1; died <= 4; died++) {
      const { post, world, key, faults } = await createWorld();
      await post("/v1/disks", { disk_name: "data" });
      await world.advance(5_000);
      if (action === "undelete") await world.request("DELETE", "/v1/disks/data", { key });
      await world.advance(5_000);
      let writes = 0;
      faults.afterPut = () => {
        if (++writes === died) throw new Error("gone");
      };
      const sent = { key, headers: { "Idempotency-Key": "k-1" } };
      await world.request(method, path, sent);
      delete faults.afterPut;
      await world.advance(later);

      const again = await world.request(method, path, sent);

      expect([again.status, again.headers.get("idempotency-replayed")], `died after write ${died}`).toEqual([
        200,
        "true",
      ]);
      const items = world.table.all().filter((item) => item.kind === "operation" && item.action === action);
      expect(items).toMatchObject([{ id: ((await again.json()) as { operation_id: string }).operation_id }]);
      const [disk] = world.table.all().filter(({ kind }) => kind === "disk");
      expect(disk?.phase).toBe(action === "delete" ? "deleted" : "available");
    }
  },
);

test("the repeat of a delete without effect does not delete a newer disk of that name", async () => {
  const { post, world, key, faults } = await createWorld();
  await post("/v1/disks", { disk_name: "data" });
  await world.advance(5_000);
  let writes = 0;
  // After the request was stored, and before the disk was marked.
  faults.afterPut = () => {
    if (++writes === 2) throw new Error("gone");
  };
  const sent = { key, headers: { "Idempotency-Key": "k-1" } };
  await world.request("DELETE", "/v1/disks/data", sent);
  delete faults.afterPut;
  await post("/v1/disks/data/rename", { new_name: "kept" });
  await post("/v1/disks", { disk_name: "data" });
  await world.advance(5_000);

  const again = await world.request("DELETE", "/v1/disks/data", sent);

  expect([again.status, await again.json()]).toMatchObject([
    409,
    { detail: "Disk 'data' is not the disk of the first request" },
  ]);
  const phases = world.table.all().flatMap(({ kind, phase }) => (kind === "disk" ? [phase] : []));
  expect(phases).toEqual(["available", "available"]);
});

test("a delete that its own repeat overtook is answered as done, even after the operation has ended", async () => {
  const { post, world, key, faults } = await createWorld();
  await post("/v1/disks", { disk_name: "data" });
  await world.advance(5_000);
  const [disk] = world.table.all().filter(({ kind }) => kind === "disk");
  const sent = { key, headers: { "Idempotency-Key": "k-1" } };
  let repeat: Response | undefined;
  faults.beforePut = async (pk) => {
    const isMarking = world.table.all().some(({ kind, action }) => kind === "operation" && action === "delete");
    if (pk !== disk?.pk || !isMarking) return;
    delete faults.beforePut;
    repeat = await world.request("DELETE", "/v1/disks/data", sent);
    await world.advance(5_000);
  };

  const first = await world.request("DELETE", "/v1/disks/data", sent);

  expect([repeat?.status, first.status]).toEqual([200, 200]);
  expect(await first.json()).toEqual(await repeat?.json());
});

interface Job {
  readonly job_id: string;
}

describe.each(creates)("POST $path with an Idempotency-Key", ({ path, body, other: otherEntry, made }) => {
  test("creates one record, and gives a repeat the first answer with a mark", async () => {
    const { post, count, world } = await createWorld();

    const first = await post(path, body, "k-1");
    await world.advance(5_000);
    const again = await post(path, body, "k-1");

    expect(first).toMatchObject({ status: 200, replayed: null });
    expect(again).toEqual({ ...first, replayed: "true" });
    expect(count(made)).toBe(1);
  });

  test("gives a repeat the usual headers", async () => {
    const { post, world, key } = await createWorld();
    await post(path, body, "k-1");

    const headers = { "Idempotency-Key": "k-1", "X-Request-ID": "r-2" };
    const again = await world.request("POST", path, { key, body, headers });

    expect(Object.fromEntries(again.headers)).toMatchObject({
      "x-request-id": "r-2",
      "cache-control": "no-store",
      "content-type": "application/json",
    });
  });

  test("treats other white space as the same body, and another body as a conflict", async () => {
    const { post, count } = await createWorld();
    await post(path, body, "k-1");

    const spaced = await post(path, JSON.stringify(body, null, 2), "k-1");
    const changed = await post(path, otherEntry, "k-1");

    expect(spaced).toMatchObject({ status: 200, replayed: "true" });
    expect(changed).toMatchObject({ status: 409, replayed: null });
    expect(JSON.parse(changed.text)).toEqual({ detail: "Idempotency-Key was already used with a different request" });
    expect(count(made)).toBe(1);
  });

  test("is separate for each user", async () => {
    const { post, count, world } = await createWorld();
    const stranger = await world.login(second);

    const mine = await post(path, body, "k-1");
    const theirs = await post(path, otherEntry, "k-1", stranger);

    expect([mine.status, theirs.status]).toEqual([200, 200]);
    expect(theirs.replayed).toBeNull();
    expect(count(made)).toBe(2);
  });

  test("is valid for a day", async () => {
    const { post, world } = await createWorld();
    await post(path, body, "k-1");

    world.clock.advance(24 * HOUR - 1);
    const before = await post(path, body, "k-1", await world.login());
    world.clock.advance(1);
    const after = await post(path, body, "k-1", await world.login());

    expect(before.replayed).toBe("true");
    expect(after.replayed).toBeNull();
  });

  test("sent twenty times at once creates one record", async () => {
    const { post, count } = await createWorld();

    const answers = await Promise.all(Array.from({ length: 20 }, () => post(path, body, "k-1")));

    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(answers.filter(({ replayed }) => replayed === null)).toHaveLength(1);
    expect(count(made)).toBe(1);
  });

  test("that died after any of its writes is finished by the repeat, with one record", async () => {
    for (const effect of [false, true]) {
      for (let died = 1; died <= 6; died++) {
        const { post, count, faults } = await createWorld();
        let writes = 0;
        const die = (now: boolean) => () => {
          if (now === effect) return;
          if (!effect) writes += 1;
          if (writes >= died) throw new Error("gone");
        };
        faults.beforePut = () => {
          if (effect) writes += 1;
          if (effect && writes > died) throw new Error("gone");
          die(true)();
        };
        faults.afterPut = die(false);
        const first = await post(path, body, "k-1");
        delete faults.beforePut;
        delete faults.afterPut;

        const again = await post(path, body, "k-1");

        const where = `write ${died}, ${effect ? "after" : "before"} its effect`;
        expect(again.status, where).toBe(200);
        if (first.status === 200) expect(again.text, where).toBe(first.text);
        expect(count(made), where).toBe(1);
      }
    }
  });

  test.each(["", " ", "x".repeat(256), "ä", "a\tb"])("is refused when it is %j", async (bad) => {
    const { post, count } = await createWorld();

    const { status, text } = await post(path, body, bad);

    expect(status).toBe(400);
    expect(JSON.parse(text)).toEqual({ detail: "Idempotency-Key must be 1 to 255 printable ASCII characters" });
    expect(count(made)).toBe(0);
  });

  test.each(["x".repeat(255), "a b~!", "7"])("is accepted when it is %j", async (good) => {
    const { post } = await createWorld();

    expect((await post(path, body, good)).status).toBe(200);
  });

  test("is stored neither in clear nor with the body", async () => {
    const { post, world } = await createWorld();

    await post(path, body, "my-secret-idempotency-key");

    const [record] = world.table.all().filter(({ kind }) => kind === "idempotency");
    expect(JSON.stringify(record)).not.toContain("my-secret");
    expect(Number(record?.ttl) * 1000).toBeGreaterThanOrEqual(world.clock.now() + 24 * HOUR);
  });
});

describe("a failed create", () => {
  test("does not use up its key, even for another request", async () => {
    const { post } = await createWorld();
    await post("/v1/disks", { disk_name: "data" });
    const refused = await post("/v1/disks", { disk_name: "data" }, "k-1");
    const bad = await post("/v1/disks", { disk_name: "no/name" }, "k-1");

    const otherEntry = await post("/v1/disks", { disk_name: "more" }, "k-1");

    expect([refused.status, bad.status]).toEqual([409, 400]);
    expect(otherEntry).toMatchObject({ status: 200, replayed: null });
  });

  test("of a job whose disk was in use succeeds at a later repeat, under a new id", async () => {
    const { post, world, key } = await createWorld();
    const holder = await post("/v1/jobs/submit", { ...plainJob, disk_name: "data" });
    const refused = await post("/v1/jobs/submit", { ...plainJob, disk_name: "data" }, "k-1");
    expect(refused.status).toBe(409);
    await world.request("POST", `/v1/jobs/${JSON.parse(holder.text).job_id}/cancel`, { key });
    await world.advance(5_000);

    const later = await post("/v1/jobs/submit", { ...plainJob, disk_name: "data" }, "k-1");

    expect(later).toMatchObject({ status: 200, replayed: null });
  });
});

test("a repeat creates a job that failed before it got its disk, once the disk is free again", async () => {
  const { post, world, key, faults } = await createWorld();
  const body = { ...plainJob, disk_name: "data" };
  await post("/v1/disks", { disk_name: "data" });
  await world.advance(5_000);
  let isBetween = false;
  faults.afterPut = (pk) => {
    if (isBetween || !pk.endsWith("#env#gpu-dev")) return;
    isBetween = true;
    throw new Error("no answer");
  };
  const failed = await post("/v1/jobs/submit", body, "k-1");
  delete faults.afterPut;
  const holder = await post("/v1/jobs/submit", body);
  await world.advance(120_000);
  const refused = await post("/v1/jobs/submit", body, "k-1");
  await world.request("POST", `/v1/jobs/${JSON.parse(holder.text).job_id}/cancel`, { key });
  await world.advance(60_000);

  const later = await post("/v1/jobs/submit", body, "k-1");

  expect([failed, holder, refused, later].map(({ status }) => status)).toEqual([500, 200, 409, 200]);
});

test("a job with a disk that is submitted twenty times at once is one job that holds it", async () => {
  const { post, count, world } = await createWorld();
  const body = { ...plainJob, disk_name: "data" };

  const answers = await Promise.all(Array.from({ length: 20 }, () => post("/v1/jobs/submit", body, "k-1")));
  await world.advance(5_000);

  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  expect(count("environment")).toBe(1);
  const { job_id } = JSON.parse(answers[0]?.text ?? "{}");
  expect((await getJob(world, job_id)).status).toBe("active");
});

test("a repeat of a submit whose answer was lost does not run a job again that has ended", async () => {
  const { post, count, world, key, faults } = await createWorld();
  const body = { ...plainJob, disk_name: "data" };
  let notes = 0;
  faults.beforePut = (pk) => {
    if (pk.startsWith("idem#") && ++notes > 1) throw new Error("gone");
  };
  const first = await post("/v1/jobs/submit", body, "k-1");
  delete faults.beforePut;
  const { job_id } = JSON.parse(first.text);
  await world.advance(5_000);
  await world.request("POST", `/v1/jobs/${job_id}/cancel`, { key });
  await world.advance(10_000);
  await post("/v1/jobs/submit", body);

  const again = await post("/v1/jobs/submit", body, "k-1");

  expect(again).toEqual({ ...first, replayed: "true" });
  expect(count("environment")).toBe(2);
});

test("a repeat answers with the job that its failed submit had written", async () => {
  const { post, count, faults } = await createWorld();
  faults.afterPut = (pk) => {
    if (pk.endsWith("#env#gpu-dev")) throw new Error("no answer");
  };
  const failed = await post("/v1/jobs/submit", plainJob, "k-1");
  delete faults.afterPut;

  const again = await post("/v1/jobs/submit", plainJob, "k-1");

  expect([failed.status, again.status]).toEqual([500, 200]);
  expect(count("environment")).toBe(1);
});

test("other endpoints ignore the header", async () => {
  const { world, key } = await createWorld();
  const headers = { "Idempotency-Key": "" };

  const rotated = await world.request("POST", "/v1/keys/rotate", { key, headers });

  expect(rotated.status).toBe(200);
  expect(world.table.all().filter(({ kind }) => kind === "idempotency")).toEqual([]);
});

async function getJob(world: HttpWorld, id: string): Promise<{ status?: string }> {
  const response = await world.request("GET", `/v1/jobs/${id}`, { key: await world.login() });
  return (await response.json()) as { status?: string };
}
