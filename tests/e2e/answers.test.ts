import { beforeEach, expect, it } from "vitest";
import { type Answers, noteAnswers } from "./answers.ts";
import { ApiError, type Job, type JobClient } from "./job-client.ts";

const seconds = (count: number) => count / 3_600;
const noActions: Job["actions"] = [];
const noAnswer = new TypeError("fetch failed");

let jobs: Map<string, Job>;
/** Disks by name, with whether they are deleted. */
let disks: Map<string, boolean>;
/** End of each operation by its id. */
let operations: Map<string, string>;
let dies: boolean;
/** Changes of the job, one for each wait. */
let later: Partial<Job>[];
let answers: Answers;

/** Client of a pretend stack that answers nothing once it is dead. */
const client = {
  submit: async ({ duration_hours = 0 }) => {
    jobs.set("j", { status: "active", duration_hours, actions: noActions } as Partial<Job> as Job);
    return "j";
  },
  until: async (id: string, holds: (job: Job) => boolean) => {
    for (;;) {
      const job = jobs.get(id);
      if (!job) throw new ApiError(`GET: 404 {"detail":"Job ${id} not found"}`);
      if (holds(job)) return job;
      put(id, later.shift() ?? {});
    }
  },
  extend: async (id: string, hours: number) => {
    put(id, { duration_hours: (jobs.get(id)?.duration_hours ?? 0) + hours });
    if (dies) throw noAnswer;
  },
  cancel: async (id: string) => put(id, { status: "cancelled" }),
  createDisk: async (name: string) => void disks.set(name, false),
  renameDisk: async (name: string, newName: string) => {
    rename(name, newName);
    if (dies) throw noAnswer;
  },
  deleteDisk: async (name: string) => mark(name, true),
  undeleteDisk: async (name: string) => mark(name, false),
  operationEnd: async (_: string, id: string) => operations.get(id) ?? "gone",
  findDisk: async (name: string) => {
    const isDeleted = disks.get(name);
    return isDeleted === undefined ? undefined : { disk_name: name, is_deleted: isDeleted };
  },
} satisfies Partial<JobClient> as unknown as JobClient;

const put = (id: string, changes: Partial<Job>) => void jobs.set(id, { ...(jobs.get(id) as Job), ...changes });

function rename(name: string, newName: string): void {
  disks = new Map([...disks].map(([each, isDeleted]) => [each === name ? newName : each, isDeleted]));
}

function mark(name: string, isDeleted: boolean): string {
  disks.set(name, isDeleted);
  if (dies) throw noAnswer;
  const id = `op-${operations.size + 1}`;
  operations.set(id, "completed");
  return id;
}

beforeEach(async () => {
  jobs = new Map();
  disks = new Map();
  operations = new Map();
  dies = false;
  later = [];
  answers = noteAnswers();
  await answers.submit(client, { duration_hours: seconds(10) });
  await answers.extend(client, "j", seconds(5));
  await answers.cancel(client, "j");
  await answers.createDisk(client, "a");
  await answers.renameDisk(client, "a", "b");
  await answers.createDisk(client, "d");
  await answers.deleteDisk(client, "d");
  await answers.undeleteDisk(client, "d");
  await answers.deleteDisk(client, "d");
});

it("no loss is found if the state matches the answers", async () => {
  expect(await answers.lost(client)).toEqual([]);
  expect(answers.count()).toEqual({
    submitted: 1,
    extended: 1,
    cancelled: 1,
    created: 2,
    renamed: 1,
    deleted: 2,
    undeleted: 1,
  });
});

it.each<[string, () => void, string]>([
  ["a job", () => jobs.clear(), "j is gone"],
  ["an extension", () => put("j", { duration_hours: seconds(10) }), "j lasts 10000 ms, not 15000"],
  ["an extension that was made twice", () => put("j", { duration_hours: seconds(20) }), "j lasts 20000 ms, not 15000"],
  ["a cancel", () => put("j", { status: "active" }), "j is active, not cancelled"],
  ["a disk", () => disks.delete("b"), "there is not one disk b"],
  ["a deleted disk", () => disks.delete("d"), "there is not one disk d"],
  ["a delete", () => disks.set("d", false), "disk d is not deleted"],
  ["an operation", () => operations.delete("op-3"), "op-3 is gone"],
  ["the end of an operation", () => operations.set("op-2", "failed"), "op-2 is failed"],
  ["a new name", () => rename("b", "a"), "there is not one disk b"],
])("a loss of %s is found", async (_, lose, words) => {
  lose();

  expect(await answers.lost(client)).toEqual([words]);
});

it("the check waits until an extension appears", async () => {
  put("j", { duration_hours: seconds(10), actions: [{ action: "extend", status: "requested", error: null }] });
  later = [{ duration_hours: seconds(15), actions: [{ action: "extend", status: "done", error: null }] }];

  expect(await answers.lost(client)).toEqual([]);
});

it("an extension is not lost if its job says that the cluster never accepted it", async () => {
  const error = "The cluster did not accept it before the end";
  put("j", { duration_hours: seconds(10), actions: [{ action: "extend", status: "failed", error }] });
  const said = await answers.lost(client);
  put("j", { duration_hours: seconds(9) });
  const wrong = await answers.lost(client);
  put("j", { duration_hours: seconds(10), actions: [{ action: "extend", status: "failed", error: "Another reason" }] });

  expect([said, wrong]).toEqual([[], ["j lasts 9000 ms, not 15000 or 10000"]]);
  expect(await answers.lost(client)).toEqual(["j lasts 10000 ms, not 15000"]);
});

it("either outcome of an unanswered request is accepted, and no other", async () => {
  dies = true;
  await expect(answers.extend(client, "j", seconds(1))).rejects.toThrow(noAnswer);
  await expect(answers.renameDisk(client, "b", "c")).rejects.toThrow(noAnswer);

  const done = await answers.lost(client);
  put("j", { duration_hours: seconds(15) });
  rename("c", "b");
  const undone = await answers.lost(client);
  put("j", { duration_hours: seconds(11) });
  disks.set("c", false);

  expect([done, undone]).toEqual([[], []]);
  expect(await answers.lost(client)).toEqual(["j lasts 11000 ms, not 15000 or 16000", "there is not one disk b or c"]);
});

it("a lost undelete is found, and either outcome of an unanswered delete is accepted", async () => {
  await answers.undeleteDisk(client, "d");
  disks.set("d", true);
  const lost = await answers.lost(client);
  dies = true;
  await expect(answers.deleteDisk(client, "d")).rejects.toThrow(noAnswer);

  const done = await answers.lost(client);
  disks.set("d", false);

  expect(lost).toEqual(["disk d is deleted"]);
  expect([done, await answers.lost(client)]).toEqual([[], []]);
});
