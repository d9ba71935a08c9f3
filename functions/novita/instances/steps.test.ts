import { expect, test } from "vitest";
import type { DeliveryEvent } from "#core/webhooks/event.ts";
import { instanceWorld } from "#tests/worlds/instance-world.ts";
import { toInstanceEvent } from "./internal/webhook.ts";
import { toStatus } from "./schemas.ts";

const first = { run: { n: 1, error: null }, end: { outcome: null }, goal: { desired: "active" } } as const;
const again = { ...first, run: { n: 2 } };

test.each([
  [{ phase: "queued", step: null }, "creating", "starting"],
  [{ phase: "preparing", step: "disk" }, "creating", "starting"],
  [{ phase: "preparing", step: "pod" }, "starting", "starting"],
  [{ phase: "preparing", step: "image" }, "starting", "starting"],
  [{ phase: "preparing", step: "container" }, "running", "running"],
  [{ phase: "preparing", step: "probe" }, "health_checking", "health_checking"],
  [{ phase: "active", step: null }, "ready", "ready"],
  [{ phase: "stopping", step: null }, "stopping", "stopping"],
  [{ phase: "stopped", step: null }, "starting", "starting"],
  [{ phase: "deleted", step: null }, "terminated", "terminated"],
] as const)("%j is %s in its first run, and %s in a later one", (at, inFirst, later) => {
  expect([toStatus({ ...first, ...at }), toStatus({ ...again, ...at })]).toEqual([inFirst, later]);
});

test("a stopped instance is failed if its run ended by itself, and terminated if it is being deleted", () => {
  const stopped = { ...first, phase: "stopped", step: null, goal: { desired: "stopped" } } as const;
  const outcome = { phase: "deleted", reason: null, at: 0 } as const;

  expect([
    toStatus(stopped),
    toStatus({ ...stopped, run: { n: 1, error: "lost" } }),
    toStatus({ ...stopped, end: { outcome } }),
  ]).toEqual([...["stopped", "failed", "terminated"]]);
});

test("a step is not reported again if only its reason changes", async () => {
  const { head } = await instanceWorld();
  const entry = { n: 4, at: 0, phase: "preparing", step: "image", reason: "pulling slowly" } as const;
  const event = (previous: DeliveryEvent["previous"]): DeliveryEvent => ({
    id: "evt",
    entry,
    previous,
    environment: head(),
    username: "alice",
    jupyter: undefined,
    settings: { sshGateway: undefined, userAccess: undefined },
  });

  expect(toInstanceEvent(event({ phase: "preparing", step: "image" }))).toBeUndefined();
  expect(toInstanceEvent(event({ phase: "queued", step: null }))).toMatchObject({ status: "starting" });
});
