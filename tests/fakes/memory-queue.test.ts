import { describe, expect, it } from "vitest";
import { queueConformance } from "../conformance/queue.ts";
import { manualClock } from "../fixtures/clock.ts";
import { memoryQueue } from "./memory-queue.ts";

describe("the memory queue", () => {
  queueConformance(async () => {
    const clock = manualClock();
    const queue = memoryQueue({ clock });
    return {
      queue,
      async receive(name, { keep = false } = {}) {
        const received = queue.receive(name, 10);
        if (!keep) for (const { id } of received) queue.acknowledge(name, id);
        return received.map(({ look: message }) => message);
      },
      now: () => clock.now(),
      pass: async (ms) => clock.advance(ms),
    };
  });

  it("redelivers a message after the visibility timeout, and counts deliveries", async () => {
    const clock = manualClock();
    const queue = memoryQueue({ clock, visibilitySeconds: 30 });
    await queue.send("work", { look: "a|-" });

    const first = queue.receive("work", 1);
    const hidden = queue.receive("work", 1);
    clock.advance(30_000);
    const second = queue.receive("work", 1);

    expect([first[0]?.receives, hidden, second[0]?.receives]).toEqual([1, [], 2]);
  });

  it("redelivers a released message at once and in its old place", async () => {
    const queue = memoryQueue({ clock: manualClock() });
    await queue.send("pools", { look: "h|1" }, { group: "h100" });
    const [first] = queue.receive("pools", 1);
    await queue.send("pools", { look: "h|2" }, { group: "h100" });

    queue.release("pools", first?.id ?? "");

    expect(queue.receive("pools", 10).map(({ look: message }) => message.look)).toEqual(["h|1", "h|2"]);
  });

  it("knows when the next message can be received", async () => {
    const clock = manualClock(1_000);
    const queue = memoryQueue({ clock });
    const empty = queue.nextAt("work");
    await queue.send("work", { look: "a|-" }, { delaySeconds: 7 });
    await queue.send("work", { look: "b|-" }, { delaySeconds: 3 });

    const next = queue.nextAt("work");

    expect([empty, next]).toEqual([undefined, 4_000]);
  });
});
