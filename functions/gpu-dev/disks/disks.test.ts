import { beforeEach, describe, expect, test } from "vitest";
import type { Ports } from "#core/context.ts";
import { countedPort } from "#tests/faults/counted-ports.ts";
import { type HttpWorld, type HttpWorldOptions, httpWorld, second } from "#tests/worlds/http-world.ts";

const DAY = 24 * 3_600_000;
const nameRule = "Disk name must contain only letters, numbers, hyphens, and underscores";
const badNames = ["", "..", "a/b", "a b", "a\0", "ü", "x".repeat(65), "data\n", "a'; DROP"];

interface DiskWorld extends HttpWorld {
  /** Returns the port calls of the latest request. The key is cached. */
  calls(): string[];
  call(method: string, path: string, body?: unknown, key?: string): Promise<{ status: number; body: Answer }>;
  /** Submits a job and answers its id; refused, it throws. */
  submit(body?: Record<string, unknown>): Promise<string>;
  /** Runs a job with the disk `data` and waits until it is backed up. */
  useOnce(): Promise<void>;
}

type Answer = Record<string, unknown> & { detail?: unknown };

async function diskWorld(options: HttpWorldOptions = {}): Promise<DiskWorld> {
  const calls: string[] = [];
  const world = await httpWorld({
    ...options,
    wrap: (ports) => counted(ports, calls),
  });
  const key = await world.login();
  const call: DiskWorld["call"] = async (method, path, body, as = key) => {
    calls.length = 0;
    const response = await world.request(method, path, { key: as, body });
    return { status: response.status, body: (await response.json()) as Answer };
  };
  const submit: DiskWorld["submit"] = async (body = {}) => {
    const job = { image: "i", instance_type: "p5.48xlarge", gpu_count: 8, disk_name: "data", ...body };
    const answer = await call("POST", "/v1/jobs/submit", job);
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    return String(answer.body.job_id);
  };
  const useOnce = async () => {
    const id = await submit();
    await world.advance(3_000);
    await call("POST", `/v1/jobs/${id}/cancel`);
    await world.advance(15_000);
  };
  return { ...world, call, submit, useOnce, calls: () => [...calls] };
}

function counted(ports: Ports, calls: string[]): Ports {
  return {
    ...ports,
    table: countedPort("table", ports.table, calls),
    queue: countedPort("queue", ports.queue, calls),
    volumes: countedPort("volumes", ports.volumes, calls),
  };
}

let world: DiskWorld;

beforeEach(async () => {
  world = await diskWorld();
});

const today = () => new Date(world.clock.now()).toISOString();
const detail = async (method: string, path: string, body?: unknown) => {
  const answer = await world.call(method, path, body);
  return [answer.status, answer.body.detail];
};

describe("GET /v1/disks/{disk_name}/snapshots and POST /v1/disks/{disk_name}/restore", () => {
  test("list the snapshots, newest first, and create a disk that shows its point in time", async () => {
    for (let at = 0; at < 2; at++) await world.useOnce();

    const { body } = await world.call("GET", "/v1/disks/data/snapshots");
    const [newer, older] = body.snapshots as { snapshot_id: string; snapshot_date: string; status: string }[];
    const wanted = { snapshot_id: older?.snapshot_id, new_name: "before" };
    const restored = await world.call("POST", "/v1/disks/data/restore", wanted);

    expect(body).toMatchObject({ disk_name: "data", total: 2 });
    expect([newer?.status, older?.status]).toEqual(["completed", "completed"]);
    expect(String(newer?.snapshot_date) > String(older?.snapshot_date)).toBe(true);
    expect(restored.status).toBe(200);
    expect(restored.body).toMatchObject({
      disk_name: "before",
      action: "create",
      message: `Disk restore request queued successfully. It will hold what 'data' held at ${older?.snapshot_date}`,
      restored_from: "data",
      snapshot_id: older?.snapshot_id,
      snapshot_date: older?.snapshot_date,
    });
    expect((await world.call("GET", "/v1/disks/before")).body).toMatchObject({ snapshot_count: 0 });
  });

  test("refuse a foreign or invalid snapshot and a taken name with a clear message", async () => {
    await world.useOnce();
    const { body } = await world.call("GET", "/v1/disks/data/snapshots");
    const [snapshot] = body.snapshots as { snapshot_id: string }[];
    const restore = (path: string, wanted: unknown) => detail("POST", `/v1/disks/${path}/restore`, wanted);
    const snapshot_id = snapshot?.snapshot_id;

    expect(await restore("data", { snapshot_id: "snap-x", new_name: "b" })).toEqual([
      404,
      "Snapshot 'snap-x' not found for disk 'data'",
    ]);
    expect(await restore("data", { snapshot_id, new_name: "data" })).toEqual([409, "Disk 'data' already exists"]);
    expect(await restore("none", { snapshot_id, new_name: "b" })).toEqual([404, "Disk 'none' not found"]);
    expect((await restore("data", { snapshot_id, new_name: "a/b" }))[0]).toBe(400);
    expect((await restore("data", { new_name: "b" }))[0]).toBe(400);
  });
});

describe("POST /v1/disks/{disk_name}/snapshots", () => {
  test("answers with an operation, which names the snapshot once it is completed", async () => {
    await world.useOnce();

    const { status, body } = await world.call("POST", "/v1/disks/data/snapshots");
    const path = `/v1/disks/data/operations/${body.operation_id}`;
    const before = await world.call("GET", path);
    await world.advance(60_000);
    const after = await world.call("GET", path);
    const listed = await world.call("GET", "/v1/disks/data/snapshots");

    expect([status, body]).toEqual([
      200,
      {
        operation_id: expect.stringMatching(/^op-/),
        disk_name: "data",
        action: "snapshot",
        message: "Disk snapshot request queued successfully",
        requested_at: expect.any(String),
        replaces: null,
      },
    ]);
    expect(before.body).toMatchObject({ status: "pending", completed: false, action: "snapshot", is_deleted: false });
    expect(before.body).not.toHaveProperty("snapshot_id");
    const [newest, backup] = listed.body.snapshots as Answer[];
    expect(after.body).toMatchObject({ status: "completed", completed: true, snapshot_id: newest?.snapshot_id });
    expect([newest?.kind, backup?.kind]).toEqual(["on_demand", "backup"]);
  });

  test("names the snapshot that it replaces, and refuses with a clear message", async () => {
    await world.useOnce();
    for (let n = 0; n < 5; n++) {
      await world.call("POST", "/v1/disks/data/snapshots");
      await world.advance(60_000);
    }
    const listed = await world.call("GET", "/v1/disks/data/snapshots");
    const oldest = (listed.body.snapshots as Answer[]).findLast(({ kind }) => kind === "on_demand");
    const { body } = await world.call("POST", "/v1/disks/data/snapshots");
    const text = `Once it is completed, ${oldest?.snapshot_id} of ${oldest?.snapshot_date} is removed`;
    expect(body).toMatchObject({
      replaces: oldest?.snapshot_id,
      message: `Disk snapshot request queued successfully. ${text}`,
    });

    expect(await detail("POST", "/v1/disks/data/snapshots")).toEqual([
      409,
      "A snapshot of disk 'data' is being made already",
    ]);
    expect(await detail("POST", "/v1/disks/none/snapshots")).toEqual([404, "Disk 'none' not found"]);
    expect(await detail("POST", "/v1/disks/a%2Fb/snapshots")).toEqual([404, "Disk 'a/b' not found"]);
    await world.call("DELETE", "/v1/disks/data");
    expect(await detail("POST", "/v1/disks/data/snapshots")).toEqual([410, "Disk 'data' is marked for deletion"]);
  });
});

describe("GET /v1/disks?deleted=true", () => {
  test("lists only deleted disks, each with the day of its removal", async () => {
    for (const disk_name of ["kept", "gone"]) await world.call("POST", "/v1/disks", { disk_name });
    await world.call("DELETE", "/v1/disks/gone");
    const goesOn = new Date(world.clock.now() + 30 * DAY).toISOString().slice(0, 10);

    const { body } = await world.call("GET", "/v1/disks?deleted=true");
    const others = await world.call("GET", "/v1/disks");

    expect(body).toMatchObject({ disks: [{ disk_name: "gone", is_deleted: true, delete_date: goesOn }], total: 1 });
    expect(others.body).toMatchObject({
      disks: [{ disk_name: "kept", is_deleted: false }],
      total: 1,
    });
    expect(JSON.stringify(others.body)).not.toContain("delete_date");
    expect((await detail("GET", "/v1/disks?deleted=yes"))[0]).toBe(400);
  });
});

describe("POST /v1/disks", () => {
  test("answers five keys in order, and the disk exists at once", async () => {
    const { status, body } = await world.call("POST", "/v1/disks", { disk_name: "data", size_gb: 500 });

    expect(status).toBe(200);
    expect(Object.entries(body)).toEqual([
      ["operation_id", expect.stringMatching(/^op-/)],
      ["disk_name", "data"],
      ["action", "create"],
      ["message", "Disk creation request queued successfully"],
      ["requested_at", `${today().slice(0, 19)}Z`],
    ]);
    expect((await world.call("GET", "/v1/disks/data")).body).toMatchObject({ size_gb: 500, in_use: false });
  });

  test("defaults to 100 GB and accepts whole numbers from 10 to 10000", async () => {
    await world.call("POST", "/v1/disks", { disk_name: "data" });

    expect((await world.call("GET", "/v1/disks/data")).body.size_gb).toBe(100);
    for (const [size_gb, msg] of [
      [9, "Input should be greater than or equal to 10"],
      [10_001, "Input should be less than or equal to 10000"],
      [10.5, "Input should be a valid integer"],
      ["100", "Input should be a valid integer"],
    ] as const) {
      const [status, items] = await detail("POST", "/v1/disks", { disk_name: "other", size_gb });
      expect([status, items], String(size_gb)).toMatchObject([400, [{ loc: ["body", "size_gb"], msg }]]);
    }
    expect((await world.call("GET", "/v1/disks")).body.total).toBe(1);
  });

  test("refuses invalid names with its own message", async () => {
    for (const disk_name of badNames) {
      expect(await detail("POST", "/v1/disks", { disk_name }), disk_name).toEqual([
        400,
        [{ type: "string_pattern_mismatch", loc: ["body", "disk_name"], msg: nameRule, input: disk_name }],
      ]);
    }
    expect(await detail("POST", "/v1/disks", {})).toMatchObject([400, [{ type: "missing", msg: "Field required" }]]);
    expect(await detail("POST", "/v1/disks", { disk_name: "x".repeat(64) })).toEqual([200, undefined]);
  });

  test("refuses a name that is taken", async () => {
    await world.call("POST", "/v1/disks", { disk_name: "data" });

    expect(await detail("POST", "/v1/disks", { disk_name: "data" })).toEqual([409, "Disk 'data' already exists"]);
  });

  test("gives a deleted disk's name to the new disk, and an undelete of the name identifies the old disk", async () => {
    await world.useOnce();
    await world.call("DELETE", "/v1/disks/data");
    const made = await world.call("POST", "/v1/disks", { disk_name: "data", size_gb: 20 });
    const { body } = await world.call("GET", "/v1/disks?deleted=true");
    const [{ disk_name: aside } = {}] = body.disks as Answer[];

    const refused = await detail("POST", "/v1/disks/data/undelete");
    const undeleted = await world.call("POST", `/v1/disks/${aside}/undelete`);
    const { body: all } = await world.call("GET", "/v1/disks");

    expect(made.status).toBe(200);
    expect(body).toMatchObject({ disks: [{ is_deleted: true, delete_date: "2026-02-19" }], total: 1 });
    expect(aside).toMatch(/^data-[0-9a-f]{8}$/);
    // The world's clock begins on 20 January.
    const hint = `An earlier disk of that name is: undelete '${aside}' until 2026-02-19 18:00 UTC`;
    expect(refused).toEqual([409, `Disk 'data' is not marked for deletion. ${hint}`]);
    expect(undeleted.body).toMatchObject({ disk_name: aside, action: "undelete" });
    expect((all.disks as Answer[]).map((disk) => [disk.disk_name, disk.size_gb, disk.snapshot_count])).toEqual([
      ["data", 20, 0],
      [aside, 100, 1],
    ]);
  });
});

describe("the answer about a disk", () => {
  test("has ten keys in their order", async () => {
    await world.call("POST", "/v1/disks", { disk_name: "data" });

    const { body } = await world.call("GET", "/v1/disks/data");

    expect(Object.entries(body)).toEqual([
      ["disk_name", "data"],
      ["user_id", "developer"],
      ["size_gb", 100],
      ["created_at", `${today().slice(0, 19)}Z`],
      ["last_used", null],
      ["in_use", false],
      ["reservation_id", null],
      ["is_backing_up", false],
      ["is_deleted", false],
      ["snapshot_count", 0],
    ]);
  });

  test("follows a job that uses it: held from submit on, backed up, free with one more snapshot", async () => {
    world = await diskWorld({ snapshotMs: 60_000 });
    const shown = async () => {
      const { body } = await world.call("GET", "/v1/disks/data");
      return [body.in_use, body.reservation_id, body.is_backing_up, body.snapshot_count];
    };

    const id = await world.submit();
    const held = await shown();
    await world.advance(3_000);
    await world.call("POST", `/v1/jobs/${id}/cancel`);
    await world.advance(15_000);
    const ending = await shown();
    await world.advance(120_000);

    expect(held).toEqual([true, id, false, 0]);
    expect(ending).toEqual([false, null, true, 0]);
    expect(await shown()).toEqual([false, null, false, 1]);
    expect((await world.call("GET", "/v1/disks/data")).body.last_used).toMatch(/^\d{4}-\d\d-\d\dT[\d:]{8}Z$/);
  });

  test("is not visible to other users, and invalid names are merely unknown", async () => {
    await world.call("POST", "/v1/disks", { disk_name: "data" });
    const otherName = await world.login(second);

    const answer = await world.call("GET", "/v1/disks/data", undefined, otherName);

    expect([answer.status, answer.body]).toEqual([404, { detail: "Disk 'data' not found" }]);
    expect(await detail("GET", "/v1/disks/nothing")).toEqual([404, "Disk 'nothing' not found"]);
    const long = "y".repeat(300);
    expect(await detail("GET", `/v1/disks/${long}`)).toEqual([404, `Disk '${long.slice(0, 100)}' not found`]);
    for (const name of ["%2e%2e%2fx", "a%20b", "__proto__"]) {
      expect(await detail("GET", `/v1/disks/${name}`), name).toEqual([
        404,
        `Disk '${decodeURIComponent(name)}' not found`,
      ]);
    }
  });
});

describe("GET /v1/disks", () => {
  test("lists disks newest first, without soft-deleted ones", async () => {
    for (const disk_name of ["a", "b", "c"]) {
      await world.call("POST", "/v1/disks", { disk_name });
      await world.advance(2_000);
    }
    await world.call("DELETE", "/v1/disks/b");

    const { status, body } = await world.call("GET", "/v1/disks");

    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual(["disks", "total"]);
    expect((body.disks as Answer[]).map((disk) => disk.disk_name)).toEqual(["c", "a"]);
    expect(body.total).toBe(2);
  });

  test("over 100 disks, one of them in use, costs one query and one read of the holders", async () => {
    for (let n = 0; n < 99; n += 1) await world.call("POST", "/v1/disks", { disk_name: `disk-${n}` });
    await world.submit();

    const { body } = await world.call("GET", "/v1/disks");

    expect(body.total).toBe(100);
    expect(world.calls()).toEqual(["table.query", "table.getMany"]);
    expect(world.log.lines.filter(({ event }) => event === "unreadable record")).toEqual([]);
  });
});

describe("GET /v1/disks/{disk_name}/content", () => {
  test("says why there is no backup if none was made", async () => {
    await world.call("POST", "/v1/disks", { disk_name: "data" });
    const before = await world.call("GET", "/v1/disks/data/content");
    world.volumes.sayNoBackup("impossible");
    await world.useOnce();

    const after = await world.call("GET", "/v1/disks/data/content");

    expect(before.body.message).toBe("Disk 'data' has no backup yet");
    expect(after.body).toMatchObject({
      content: null,
      snapshot_date: null,
      message: "Disk 'data' has no backup. No backups can be made where it runs; the volume is kept",
    });
  });
});

describe("DELETE /v1/disks/{disk_name} and undelete", () => {
  test("mark the disk at once, and remove the mark at once", async () => {
    await world.call("POST", "/v1/disks", { disk_name: "data" });
    const on = new Date(world.clock.now() + 30 * DAY).toISOString().slice(0, 10);

    const deleted = await world.call("DELETE", "/v1/disks/data");
    const marked = (await world.call("GET", "/v1/disks/data")).body.is_deleted;
    const undeleted = await world.call("POST", "/v1/disks/data/undelete");

    expect(Object.keys(deleted.body)).toEqual(["operation_id", "disk_name", "action", "message", "requested_at"]);
    expect(deleted.body).toMatchObject({
      disk_name: "data",
      action: "delete",
      message: `Disk deletion request queued successfully. Will be deleted on ${on}`,
    });
    expect(marked).toBe(true);
    expect(Object.keys(undeleted.body)).toEqual(Object.keys(deleted.body));
    expect(undeleted.body).toMatchObject({
      action: "undelete",
      message: "Disk undelete request queued successfully",
    });
    expect((await world.call("GET", "/v1/disks/data")).body.is_deleted).toBe(false);
  });

  test("are refused in the documented order and with the documented messages", async () => {
    await world.call("POST", "/v1/disks", { disk_name: "marked" });
    await world.call("DELETE", "/v1/disks/marked");
    const id = await world.submit();

    const refused = "Cannot delete disk 'data' - it is currently in use by reservation";
    expect(await detail("DELETE", "/v1/disks/nothing")).toEqual([404, "Disk 'nothing' not found"]);
    expect(await detail("DELETE", "/v1/disks/marked")).toEqual([410, "Disk 'marked' is already marked for deletion"]);
    expect(await detail("DELETE", "/v1/disks/data")).toEqual([409, `${refused} ${id}`]);
    expect(await detail("POST", "/v1/disks/nothing/undelete")).toEqual([404, "Disk 'nothing' not found"]);
    expect(await detail("POST", "/v1/disks/data/undelete")).toEqual([409, "Disk 'data' is not marked for deletion"]);
  });

  test("remove the disk and free its name after 30 days, not a day earlier", async () => {
    await world.call("POST", "/v1/disks", { disk_name: "data" });
    await world.call("DELETE", "/v1/disks/data");
    await world.advance(29 * DAY);
    const login = async () => world.login();

    const still = await world.call("GET", "/v1/disks/data", undefined, await login());
    await world.advance(DAY + 60_000);
    const gone = await world.call("GET", "/v1/disks/data", undefined, await login());
    const again = await world.call("POST", "/v1/disks", { disk_name: "data" }, await login());

    expect([still.status, still.body.is_deleted]).toEqual([200, true]);
    expect([gone.status, again.status]).toEqual([404, 200]);
  });
});

describe("GET /v1/disks/{disk_name}/operations/{operation_id}", () => {
  test("can be read at once, with the documented keys, until it is completed", async () => {
    const { body } = await world.call("POST", "/v1/disks", { disk_name: "data" });
    const path = `/v1/disks/data/operations/${body.operation_id}`;
    const before = await world.call("GET", path);
    await world.advance(2_000);

    const after = await world.call("GET", path);

    expect(Object.entries(after.body)).toEqual([
      ["operation_id", body.operation_id],
      ["disk_name", "data"],
      ["status", "completed"],
      ["error", null],
      ["is_deleted", false],
      ["delete_date", null],
      ["created_at", body.requested_at],
      ["last_updated", expect.stringMatching(/Z$/)],
      ["completed", true],
      ["action", "create"],
    ]);
    expect(before.body).toMatchObject({ status: "pending", completed: false });
  });

  test("says when the disk will be deleted, under its new name too", async () => {
    await world.call("POST", "/v1/disks", { disk_name: "data" });
    const { body } = await world.call("DELETE", "/v1/disks/data");
    await world.advance(2_000);
    await world.call("POST", "/v1/disks/data/undelete");
    await world.call("POST", "/v1/disks/data/rename", { new_name: "new" });

    const input = await world.call("GET", `/v1/disks/new/operations/${body.operation_id}`);

    const on = String(body.message).slice(-10);
    expect(input.body).toMatchObject({ disk_name: "new", is_deleted: true, delete_date: on, status: "completed" });
    expect((await world.call("GET", `/v1/disks/data/operations/${body.operation_id}`)).status).toBe(200);
  });

  test("is not found for another disk, another owner or an invalid id", async () => {
    const { body } = await world.call("POST", "/v1/disks", { disk_name: "data" });
    await world.call("POST", "/v1/disks", { disk_name: "other" });
    const id = String(body.operation_id);
    const otherName = await world.login(second);

    for (const [name, op] of [
      ["other", id],
      ["data", "op-00000000-0000-4000-8000-000000000000"],
      ["data", "x".repeat(100)],
      ["a b", id],
    ] as const) {
      const path = `/v1/disks/${encodeURIComponent(name)}/operations/${op}`;
      expect(await detail("GET", path)).toEqual([404, `Operation '${op}' not found for disk '${name}'`]);
    }
    expect((await world.call("GET", `/v1/disks/data/operations/${id}`, undefined, otherName)).status).toBe(404);
  });
});

describe("POST /v1/disks/{disk_name}/rename", () => {
  const rename = (name: string, new_name: unknown) => world.call("POST", `/v1/disks/${name}/rename`, { new_name });
  const refusal = async (name: string, new_name: unknown) => {
    const { status, body } = await rename(name, new_name);
    return [status, body.detail];
  };

  test("reports that there are no snapshots", async () => {
    await world.call("POST", "/v1/disks", { disk_name: "a" });

    const { status, body } = await rename("a", "b");

    expect(status).toBe(200);
    expect(Object.entries(body)).toEqual([
      ["message", "Disk renamed from 'a' to 'b' (no snapshots found)"],
      ["old_name", "a"],
      ["new_name", "b"],
      ["snapshots_updated", 0],
    ]);
    expect(await detail("GET", "/v1/disks/a")).toEqual([404, "Disk 'a' not found"]);
    expect((await world.call("GET", "/v1/disks/b")).status).toBe(200);
  });

  test("tags every snapshot, and names the one that could not be tagged", async () => {
    for (let n = 0; n < 3; n += 1) await world.useOnce();
    const [first = ""] = world.volumes.snapshotIds();

    const whole = await rename("data", "b");
    world.volumes.refuseTags(first, "Access denied");
    const partial = await rename("b", "c");

    expect(whole.body).toEqual({
      message: "Disk renamed from 'data' to 'b' (3 snapshots updated)",
      old_name: "data",
      new_name: "b",
      snapshots_updated: 3,
    });
    expect(partial.body).toEqual({
      message: "Disk renamed from 'b' to 'c' (2/3 snapshots updated)",
      old_name: "b",
      new_name: "c",
      snapshots_updated: 2,
      errors: [`${first}: Access denied`],
    });
  });

  test("makes at most one read more than writes, including its key, even while its first job is ending", async () => {
    await world.call("POST", "/v1/disks", { disk_name: "a" });
    const id = await world.submit({ disk_name: "used" });
    await world.advance(3_000);
    await world.call("POST", `/v1/jobs/${id}/cancel`);

    for (const name of ["a", "used"]) {
      const { body } = await rename(name, `${name}-2`);

      const reads = world.calls().filter((call) => /^table\.(get|getMany|query)$/.test(call)).length;
      const writes = world.calls().filter((call) => call === "table.put").length;
      expect(body.snapshots_updated, name).toBe(0);
      expect({ writes, mostReads: 1 + reads <= writes + 1 }, name).toEqual({ writes: 2, mostReads: true });
    }
  });

  test("is answered as partial when a tag call hangs", async () => {
    await world.useOnce();
    const [id] = world.volumes.snapshotIds();
    world.volumes.hangTags();

    const { status, body } = await rename("data", "b");

    expect(status).toBe(200);
    expect(body).toEqual({
      message: "Disk renamed from 'data' to 'b' (0/1 snapshots updated)",
      old_name: "data",
      new_name: "b",
      snapshots_updated: 0,
      errors: [`${id}: The tag could not be written`],
    });
  });

  test("is refused in the documented order and with the documented messages", async () => {
    for (const disk_name of ["a", "b", "marked"]) await world.call("POST", "/v1/disks", { disk_name });
    await world.call("DELETE", "/v1/disks/marked");
    const id = await world.submit();

    for (const name of badNames) {
      const [status, items] = await refusal("nothing", name);
      expect([status, items], name).toMatchObject([400, [{ loc: ["body", "new_name"], msg: nameRule }]]);
    }
    const inUse = `Cannot rename disk 'data' - it is currently in use by reservation ${id}`;
    expect(await refusal("nothing", "x")).toEqual([404, "Disk 'nothing' not found"]);
    expect(await refusal("marked", "a")).toEqual([410, "Cannot rename disk 'marked' - it is marked for deletion"]);
    expect(await refusal("data", "a")).toEqual([409, inUse]);
    for (const taken of ["a", "b"]) {
      expect(await refusal("a", taken), taken).toEqual([409, `Disk '${taken}' already exists`]);
    }
    expect(await refusal("a", "marked")).toEqual([200, undefined]);
  });

  test("to the same name by two requests at once succeeds for one", async () => {
    for (const disk_name of ["a", "b"]) await world.call("POST", "/v1/disks", { disk_name });

    const results = await Promise.all([refusal("a", "c"), refusal("b", "c")]);

    expect(results.toSorted()).toEqual([
      [200, undefined],
      [409, "Disk 'c' already exists"],
    ]);
    expect((await world.call("GET", "/v1/disks")).body.total).toBe(2);
  });
});

describe("a job with a disk", () => {
  const shown = async (id: string) => {
    const { body } = await world.call("GET", `/v1/jobs/${id}`);
    return [body.status, body.status_reason, body.disk_name];
  };

  test("creates a missing disk in the requested size, and names it", async () => {
    const id = await world.submit({ disk_size_gb: 50 });

    expect((await world.call("GET", "/v1/disks/data")).body.size_gb).toBe(50);
    expect((await shown(id))[2]).toBe("data");
    expect((await shown(await world.submit({ disk_name: undefined })))[2]).toBeNull();
  });

  test("is refused for a disk in use, a deleted one, and an invalid name", async () => {
    const id = await world.submit();
    await world.call("POST", "/v1/disks", { disk_name: "marked" });
    await world.call("DELETE", "/v1/disks/marked");
    const job = { image: "i", instance_type: "p5.48xlarge" };
    const refusal = (more: object) => detail("POST", "/v1/jobs/submit", { ...job, ...more });

    const inUse = `Disk 'data' is currently in use by reservation ${id}`;
    expect(await refusal({ disk_name: "data" })).toEqual([409, inUse]);
    expect(await refusal({ disk_name: "marked" })).toEqual([410, "Disk 'marked' is marked for deletion"]);
    for (const disk_name of badNames) {
      const [status, items] = await refusal({ disk_name });
      expect([status, items], disk_name).toMatchObject([400, [{ loc: ["body", "disk_name"], msg: nameRule }]]);
    }
    const small = await refusal({ disk_name: "new", disk_size_gb: 9 });
    expect(small).toMatchObject([400, [{ type: "greater_than_equal", loc: ["body", "disk_size_gb"] }]]);
    expect((await world.call("GET", "/v1/jobs")).body.total).toBe(1);
  });

  test("that waits for an ending job names that job", async () => {
    world = await diskWorld({ snapshotMs: 60_000 });
    const first = await world.submit();
    await world.advance(10_000);
    await world.call("POST", `/v1/jobs/${first}/cancel`);

    const second = await world.submit();
    const submitted = await shown(second);
    await world.advance(1_000);

    const reason = `Waits until ${first}, which is ending, releases disk 'data'`;
    expect([submitted, await shown(second)]).toEqual([
      ["queued", reason, "data"],
      ["queued", reason, "data"],
    ]);
  });

  test("that waits for a backup is queued with that reason, and then runs", async () => {
    world = await diskWorld({ snapshotMs: 60_000 });
    await world.useOnce();

    const id = await world.submit();
    await world.advance(10_000);
    const waits = await shown(id);
    await world.advance(90_000);

    expect(waits).toEqual(["queued", "Waits until disk 'data' is backed up", "data"]);
    expect((await shown(id))[0]).toBe("active");
  });

  test("is preparing with that reason while its disk is being prepared", async () => {
    const [begun, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { createVolume } = world.volumes;
    const slowly: typeof createVolume = async (wanted) => {
      begun.resolve();
      await held.promise;
      return createVolume(wanted);
    };
    Object.assign(world.volumes, { createVolume: slowly });
    const id = await world.submit();

    const delivering = world.advance(3_000);
    await begun.promise;
    const preparing = await shown(id);
    held.resolve();
    await delivering;

    expect(preparing).toEqual(["preparing", "Capacity granted, preparing disk", "data"]);
    expect((await shown(id))[0]).toBe("active");
  });

  test("reports that the volume of its disk is missing while Berth searches for it", async () => {
    const first = await world.submit();
    await world.advance(10_000);
    await world.call("POST", `/v1/jobs/${first}/cancel`);
    await world.advance(60_000);
    const { findVolume } = world.volumes;
    Object.assign(world.volumes, { findVolume: async () => undefined });
    const id = await world.submit();
    await world.advance(10_000);
    const fields = await shown(id);
    Object.assign(world.volumes, { findVolume });
    await world.advance(60_000);

    expect(fields).toEqual(["preparing", "The volume of disk 'data' is missing; searching for it", "data"]);
    expect((await shown(id))[0]).toBe("active");
  });
});
