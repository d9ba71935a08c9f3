import { beforeEach, expect, it } from "vitest";
import { type InstanceAnswers, noteInstanceAnswers } from "./instance-answers.ts";
import type { InstanceClient } from "./instance-client.ts";

const noAnswer = new TypeError("fetch failed");

/** The only instance of a pretend stack, which answers nothing once it is dead. */
let instance: { status: string; starts: number } | undefined;
let dies: boolean;
let answers: InstanceAnswers;

function change(status: string): string {
  if (!instance) throw new Error("There is no instance");
  if (status === "ready" && instance.status !== "ready") instance.starts += 1;
  instance.status = status;
  if (dies) throw noAnswer;
  return `${status} ${instance.starts}`;
}

const client: InstanceClient = {
  create: async () => {
    instance = { status: "ready", starts: 1 };
    return "i";
  },
  start: async () => change("ready"),
  stop: async () => change("stopped"),
  list: async () => [],
  until: async () => instance && { instanceId: "i", status: instance.status, statusReason: null },
};

const put = (status: string, starts: number) => {
  instance = { status, starts };
};

beforeEach(async () => {
  dies = false;
  answers = noteInstanceAnswers();
  await answers.create(client, "name");
  await answers.stop(client, "i");
  await answers.start(client, "i");
});

it("no loss is found if the state matches the answers", async () => {
  const started = await answers.lost(client);
  await answers.stop(client, "i");

  expect([started, await answers.lost(client)]).toEqual([[], []]);
  expect(answers.count()).toEqual({ made: 1, started: 1, stopped: 2 });
  expect([...answers.starts()]).toEqual([["i", 2]]);
});

it.each<[string, () => void, string]>([
  ["an instance that is gone", () => (instance = undefined), "i is gone"],
  ["a start that was lost", () => put("stopped", 1), "i is stopped (null), not ready"],
  ["a run that failed", () => put("failed", 2), "i is failed (null), not ready"],
  ["a start that was done twice", () => put("ready", 3), "i has another start than was answered"],
])("a loss is found: %s", async (_, lose, words) => {
  lose();

  expect(await answers.lost(client)).toEqual([words]);
});

it("a lost stop is found, and so is a stopped instance that was started again", async () => {
  await answers.stop(client, "i");

  put("ready", 2);
  const lost = await answers.lost(client);
  put("stopped", 3);
  const again = await answers.lost(client);

  expect(lost).toEqual(["i is ready (null), not stopped"]);
  expect(again).toEqual(["i has another stop than was answered"]);
});

it("either outcome of an unanswered request is accepted, and no other", async () => {
  dies = true;
  await expect(answers.stop(client, "i")).rejects.toThrow(noAnswer);

  const done = await answers.lost(client);
  put("ready", 2);
  const undone = await answers.lost(client);
  put("failed", 2);
  const failed = await answers.lost(client);

  expect([done, undone, failed]).toEqual([[], [], ["i is failed (null), not ready or stopped"]]);
});

it("the check stops all instances that may run", async () => {
  dies = true;
  await expect(answers.stop(client, "i")).rejects.toThrow(noAnswer);
  dies = false;

  await answers.stopAll(client);
  const stopped = await answers.lost(client);
  put("ready", 2);

  expect(stopped).toEqual([]);
  expect(await answers.lost(client)).toEqual(["i is ready (null), not stopped"]);
});
