import { afterAll, beforeAll, expect, test } from "vitest";
import { openServer, type ServerFixture } from "../sdk/server-fixture.ts";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";
import { told } from "./terminal/text.ts";

let cli: CliFixture;
let key: string;
let odd: ServerFixture;
/** The field that the deployment leaves out of every answer. */
let missing: string;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=4,p5.48xlarge=1", ADMIN_USERS: "developer" });
  await cli.run("login");
  await cli.run("up", "-t", "cpu", "whole", "--disk", "kept", "--", "sleep 600");
  key = /API_KEY='([^']+)'/.exec((await cli.run("env")).stdout)?.[1] ?? "";
  odd = await openServer(async ({ method, path, body, headers }) => {
    const { authorization = "" } = headers;
    const sent = { method, headers: { authorization }, ...(method === "POST" && { body }) };
    const response = await fetch(cli.running.url + path, sent);
    return { status: response.status, body: without(missing, await response.json()) };
  });
});
afterAll(async () => {
  odd.close();
  await cli.close();
});

function without(name: string, value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (field, inner) => (field === name ? undefined : inner)));
}

test.each([
  ["username", "me"],
  ["user_id", "me"],
  ["duration_hours", "show whole"],
  ["requested_at", "show whole"],
  ["at", "show whole"],
  ["instance_type", "show whole"],
  ["image", "show whole"],
  ["status", "show whole"],
  ["status", "ls --all"],
  ["queue_position", "ls --all"],
  ["expires_at", "ls"],
  ["available", "avail"],
  ["in_use", "avail"],
  ["size_gb", "disks"],
  ["snapshot_count", "disks"],
  ["created_at", "keys"],
  ["gpu_hours", "up -t h100 --dry-run"],
  ["units", "admin node ls"],
  ["expires_at", "doctor"],
  ["timestamp", "doctor"],
  ["version", "doctor"],
])("without the field %s of its answers no undefined value is printed by berth %s", async (field, words) => {
  missing = field;
  const env = { BERTH_URL: odd.url, BERTH_API_KEY: key };

  const { code, stdout, stderr } = await cli.runWith({ env }, ...words.split(" "));

  expect(stdout + stderr).not.toMatch(/\b(undefined|NaN|null)\b|Invalid|\[object/);
  if (code !== 0) expect(stdout + stderr).toContain("An answer of the deployment is not understood");
});

test.each([
  ["disabled", "admin user enable developer"],
  ["paused", "admin resume"],
  ["is_operator", "me"],
])("a missing field %s of an answer is not read as a no by berth %s", async (field, words) => {
  missing = field;
  const env = { BERTH_URL: odd.url, BERTH_API_KEY: key };

  const { code, stdout, stderr } = await cli.runWith({ env }, ...words.split(" "));

  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("An answer of the deployment is not understood: a field is missing");
});

test.each([
  ["in_use", "disks", /^kept +\d+ GB +unknown /m],
  ["is_backing_up", "disks", /^kept +\d+ GB +used by \w{8} /m],
  ["is_deleted", "disks", /^kept +\d+ GB +used by \w{8} /m],
  ["in_use", "disks ls --watch", /^kept +\d+ GB +unknown /m],
])("a list of disks without the field %s of an older deployment is shown by berth %s", async (field, words, row) => {
  missing = field;
  const env = { BERTH_URL: odd.url, BERTH_API_KEY: key };

  const listing = cli.start({ env }, ...words.split(" "));
  await listing.says("kept");
  listing.child.kill("SIGINT");

  expect((await listing.ended).stdout).toMatch(row);
});

test("a sentence takes each field as printable text, and none that is missing", () => {
  expect(told`${"a\u001B[31m"}, ${0} and ${false}`).toBe("a\uFFFD[31m, 0 and false");
  for (const field of [undefined, null, {}]) expect(() => told`${field as unknown as string}`).toThrow(TypeError);
});
