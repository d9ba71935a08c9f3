import { describe, expect, test } from "vitest";
import { instanceWorld } from "#tests/worlds/instance-world.ts";

const SECOND = 1_000;
const MINUTE = 60_000;

describe("last-used", () => {
  test("accepts an empty body with a JSON content type, and shows the stored time", async () => {
    const { world, key, id, show } = await instanceWorld();
    const headers = { "Content-Type": "application/json" };

    const response = await world.request("PUT", `/api/instances/${id}/last-used`, { key, headers });

    expect([response.status, await response.json()]).toEqual([
      200,
      { instanceId: id, lastUsedAt: "2026-01-20T18:00:10.000Z", message: "Last used time updated successfully" },
    ]);
    expect((await show()).lastUsedAt).toBe("2026-01-20T18:00:10.000Z");
  });

  test("counts the future as now, ignores the past, and accepts any offset", async () => {
    const { world, ask, id } = await instanceWorld();
    const tell = async (lastUsedAt: string) =>
      (await ask("PUT", `/api/instances/${id}/last-used`, { lastUsedAt })).body.lastUsedAt;

    const future = await tell("2030-01-01T00:00:00Z");
    await world.advance(10 * MINUTE);
    const older = await tell("2026-01-20T17:00:00Z");
    const offset = await tell("2026-01-20T20:05:00.500+02:00");

    expect([future, older, offset]).toEqual([
      ...["2026-01-20T18:00:10.000Z", "2026-01-20T18:00:10.000Z", "2026-01-20T18:05:00.500Z"],
    ]);
  });

  test.each(["yesterday", 5, "2026-13-01T00:00:00Z", "2026-01-20"])("refuses %j", async (lastUsedAt) => {
    const { ask, id } = await instanceWorld();

    const { status, body } = await ask("PUT", `/api/instances/${id}/last-used`, { lastUsedAt });

    expect([status, body.error.details?.[0]]).toEqual([
      400,
      { field: "lastUsedAt", message: "lastUsedAt must be an RFC 3339 timestamp", value: lastUsedAt },
    ]);
  });
});

describe("auto-stop", () => {
  test("stops an unused instance 20 to 25 minutes after the last sign of use, with that reason", async () => {
    const { world, ask, id, show } = await instanceWorld();
    await world.advance(9 * MINUTE);
    await ask("PUT", `/api/instances/${id}/last-used`);

    await world.advance(19 * MINUTE);
    const before = await show();
    await world.advance(6 * MINUTE);

    const used = { signal: "heartbeat", idleSince: "2026-01-20T18:09:10.000Z", dryRun: false };
    expect(before).toMatchObject({ status: "ready", autoStop: { verdict: "keep", ...used } });
    const autoStop = { verdict: "stop", ...used };
    expect(await show()).toMatchObject({ status: "stopped", statusReason: "auto-stop", autoStop });
  });

  test("only reports in a dry run what it would stop", async () => {
    const { world, show } = await instanceWorld({ settings: { idleDryRun: true } });

    await world.advance(40 * MINUTE);

    expect(await show()).toMatchObject({
      status: "ready",
      autoStop: { verdict: "stop", signal: "start", dryRun: true },
    });
  });

  test("never stops an instance whose use is reported every ten minutes", async () => {
    const { world, ask, id, show } = await instanceWorld();

    for (let minutes = 0; minutes < 60; minutes += 10) {
      await world.advance(10 * MINUTE);
      await ask("PUT", `/api/instances/${id}/last-used`);
    }

    expect((await show()).status).toBe("ready");
  });

  test("reports the latest checks of the caller's own instances", async () => {
    const { world, ask, asStranger, create } = await instanceWorld();
    const read = async () => (await ask("GET", "/api/instances/auto-stop/stats")).body;
    const fixed = { schedulerRunning: true, checkIntervalMinutes: 5, defaultInactivityThresholdMinutes: 20 };

    const none = await read();
    await create({ name: "other" });
    await world.advance(10 * MINUTE);
    const kept = await read();
    await world.advance(16 * MINUTE);
    const over = await read();
    const strangers = (await asStranger("GET", "/api/instances/auto-stop/stats")).body;

    const nothing = { ...fixed, lastCheckAt: null, instancesChecked: 0, instancesStopped: 0 };
    expect([none, strangers]).toEqual([nothing, nothing]);
    expect(kept).toEqual({ ...fixed, lastCheckAt: expect.any(String), instancesChecked: 2, instancesStopped: 0 });
    expect(over).toEqual({ ...fixed, lastCheckAt: expect.any(String), instancesChecked: 2, instancesStopped: 2 });
  });

  test("is reported as not running if no check was made for a whole interval", async () => {
    const { world, ask } = await instanceWorld();
    await world.advance(MINUTE);
    world.clock.advance(10 * MINUTE + SECOND);

    expect((await ask("GET", "/api/instances/auto-stop/stats")).body.schedulerRunning).toBe(false);
  });
});
