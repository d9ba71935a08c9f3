import { describe, expect, test } from "vitest";
import { workspaceId, workspaceWorld } from "#tests/worlds/workspace-world.ts";

const at = `/api/v1/environments/${workspaceId}/activity`;
const now = "2026-01-20T19:00:00Z";

/** A workspace of an hour ago. */
async function activeWorld() {
  const world = await workspaceWorld();
  await world.create();
  await world.advance(Date.parse(now) - world.clock.now());
  const lastUsed = () => new Date(world.head().use.lastUsedAt ?? 0).toISOString().slice(0, 19);
  return { ...world, lastUsed, report: (body?: unknown) => world.ask("POST", at, body) };
}

function recorded(snapshot: object, timestamp = now) {
  const data = { environmentId: workspaceId, snapshot, timestamp };
  return { status: 200, body: { success: true, message: "Activity recorded successfully", data } };
}

describe("an activity report", () => {
  test.each([
    undefined,
    "",
    "{}",
    {},
    { environmentId: workspaceId },
    { snapshot: {} },
    { snapshot: null, timestamp: null },
  ])("without details (%j) means that the workspace is in use now", async (body) => {
    const world = await activeWorld();

    expect(await world.report(body)).toEqual(recorded({}));
    expect(world.lastUsed()).toBe("2026-01-20T19:00:00");
  });

  test("is returned as it was stored: in UTC, and never in the future", async () => {
    const world = await activeWorld();

    const answer = await world.report({
      environmentId: workspaceId,
      snapshot: {
        lastIDEActivity: "2026-01-20T20:30:00.500+02:00",
        lastSSHActivity: "2030-01-01T00:00:00Z",
        activeIDEConnections: 1,
        activeSSHConnections: 0,
      },
      timestamp: "2027-01-20T19:00:00Z",
    });

    const times = { lastIDEActivity: "2026-01-20T18:30:00Z", lastSSHActivity: now };
    expect(answer).toEqual(recorded({ ...times, activeIDEConnections: 1, activeSSHConnections: 0 }));
    expect(world.lastUsed()).toBe("2026-01-20T19:00:00");
  });

  test("without connections moves the last use to its latest time, and never back", async () => {
    const world = await activeWorld();
    const snapshot = (lastIDEActivity: string) => ({
      lastIDEActivity,
      lastSSHActivity: "2026-01-20T18:05:00Z",
      activeIDEConnections: 0,
      activeSSHConnections: 0,
    });

    await world.report({ snapshot: snapshot("2026-01-20T18:20:00Z"), timestamp: now });
    const first = world.lastUsed();
    await world.report({ snapshot: snapshot("2026-01-20T18:10:00Z"), timestamp: now });

    expect([first, world.lastUsed()]).toEqual(["2026-01-20T18:20:00", "2026-01-20T18:20:00"]);
  });

  test("without users moves no time", async () => {
    const world = await activeWorld();

    const answer = await world.report({ snapshot: { activeIDEConnections: 0 } });

    expect([answer, world.head().use.lastUsedAt]).toEqual([recorded({ activeIDEConnections: 0 }), null]);
  });
});

test.each([
  [{ environmentId: "another-workspace" }, "environmentId in payload does not match route parameter"],
  [{ environmentId: 1 }, "environmentId must be a string"],
  [{ snapshot: "x" }, "snapshot must be an object"],
  [{ snapshot: { lastIDEActivity: "yesterday" } }, "lastIDEActivity must be an RFC 3339 timestamp"],
  [{ snapshot: { lastSSHActivity: 1 } }, "lastSSHActivity must be an RFC 3339 timestamp"],
  [{ snapshot: { activeIDEConnections: -1 } }, "activeIDEConnections must be a whole number from 0"],
  [{ snapshot: { activeSSHConnections: "1" } }, "activeSSHConnections must be a whole number from 0"],
  [{ timestamp: "2026-01-20 19:00" }, "timestamp must be an RFC 3339 timestamp"],
])("refuses %j", async (body, message) => {
  const { report } = await activeWorld();

  expect(await report(body)).toEqual({
    status: 400,
    body: { success: false, error: "Invalid Request", message, code: "ERR_400" },
  });
});

test.each(["start", "short", "nobodys-workspace", "{id}"])("of %s, which is not a workspace, is 404", async (id) => {
  const world = await workspaceWorld();

  const answer = await world.ask("POST", `/api/v1/environments/${encodeURIComponent(id)}/activity`);

  const message = `workspace not found: ${id}`;
  expect(answer).toEqual({
    status: 404,
    body: { success: false, error: "Resource Not Found", message, code: "ERR_404" },
  });
});
