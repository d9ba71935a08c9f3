import { describe, expect, test } from "vitest";
import { instanceWorld } from "#tests/worlds/instance-world.ts";
import { toInstanceEvent } from "./webhook.ts";

const SECOND = 1_000;
const MINUTE = 60_000;
const url = "https://your-app.com/webhook";
const slow = { imageMs: 5 * SECOND, containerMs: 5 * SECOND, probeMs: 5 * SECOND };

/** Returns a world with an instance, its webhook receiver, and the requests to that. */
async function receiverWorld(options: Parameters<typeof instanceWorld>[0] = {}) {
  const world = await instanceWorld({ ...options, waitMs: 0, bodyOf: toInstanceEvent });
  const { body } = await world.create({ webhookUrl: url });
  const id = String(body.instanceId);
  const postsTo = (where: string) => world.world.fetch.posts.filter((post) => post.url === where);
  const answer = (where = url) => postsTo(where).map((post) => JSON.parse(post.body));
  const words = (where = url) => answer(where).map(({ status }) => status);
  return { ...world, id, answer, words };
}

describe("the receiver of a webhook", () => {
  test("gets every step of a run once, and the addresses of a ready instance", async () => {
    const { world, ask, id, answer, words } = await receiverWorld({ delays: slow });
    await world.advance(MINUTE);
    const ready = answer().find(({ status }) => status === "ready");

    expect(words()).toEqual(["starting", "running", "health_checking", "ready"]);
    expect(ready).toEqual({
      instanceId: id,
      userId: "developer",
      status: "ready",
      timestamp: expect.stringMatching(/^2026-01-20T18:00:\d\d\.\d{3}Z$/),
      sequence: expect.any(Number),
      data: {
        id,
        name: "my-instance",
        status: "ready",
        portMappings: [expect.objectContaining({ port: 22 }), expect.objectContaining({ port: 8888 })],
        connectionDetails: { ssh: null, jupyter: "http://127.0.0.1:40124", webTerminal: null },
        reason: null,
      },
    });
    expect((await ask("GET", `/api/instances/${id}`)).body).not.toHaveProperty("webhookUrl");
  });

  test("gets a stop with its reason, and the next run from starting on", async () => {
    const { world, ask, id, answer, words } = await receiverWorld({ delays: slow });
    await world.advance(MINUTE);
    await ask("POST", `/api/instances/${id}/stop`);
    await world.advance(MINUTE);
    const stopped = answer().at(-1);
    await ask("POST", `/api/instances/${id}/start`);
    await world.advance(MINUTE);

    const run = ["starting", "running", "health_checking", "ready"];
    expect(stopped).toMatchObject({ status: "stopped", data: { reason: "requested", connectionDetails: null } });
    expect(words()).toEqual([...run, "stopped", ...run]);
    const sequences: number[] = answer().map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    expect(new Set(sequences).size).toBe(words().length);
  });

  test("gets an auto-stop as such, and a failure with its reason", async () => {
    const { world, answer, head, id, create } = await receiverWorld();
    await world.advance(26 * MINUTE);
    const { body } = await create({ webhookUrl: "https://other.example/" });
    await world.advance(10 * SECOND);
    world.compute.kill(head(body.instanceId).uid, 1);
    await world.advance(MINUTE);

    expect(head(id).phase).toBe("stopped");
    expect(answer().at(-1)).toMatchObject({ status: "stopped", data: { reason: "auto-stop" } });
    expect(answer("https://other.example/").at(-1)).toMatchObject({
      status: "failed",
      data: { reason: expect.stringMatching(/.+/), status: "failed", portMappings: [], connectionDetails: null },
    });
  });

  test("gets only its own run if a start named it", async () => {
    const { world, ask, id, words } = await receiverWorld();
    const otherName = "https://other.example/run";
    await world.advance(10 * SECOND);
    await ask("POST", `/api/instances/${id}/stop`);
    await world.advance(10 * SECOND);
    await ask("POST", `/api/instances/${id}/start`, { webhookUrl: otherName });
    await world.advance(10 * SECOND);
    const before = words().length;
    await ask("POST", `/api/instances/${id}/stop`);
    await world.advance(10 * SECOND);
    await ask("POST", `/api/instances/${id}/start`);
    await world.advance(10 * SECOND);

    expect(words(otherName)).toEqual(["starting", "ready", "stopped"]);
    expect(words().slice(before)).toEqual(["starting", "ready"]);
  });

  test("gets only its own stop if a stop named it", async () => {
    const { world, ask, id, words } = await receiverWorld();
    const otherName = "https://other.example/stop";
    await world.advance(10 * SECOND);
    await ask("POST", `/api/instances/${id}/stop`, { webhookUrl: otherName });
    await world.advance(10 * SECOND);
    await ask("POST", `/api/instances/${id}/start`);
    await world.advance(10 * SECOND);

    expect(words(otherName)).toEqual(["stopped"]);
    expect(words()).toEqual(["starting", "ready", "starting", "ready"]);
  });
});
