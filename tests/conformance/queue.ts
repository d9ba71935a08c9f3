import { beforeEach, describe, expect, it } from "vitest";
import type { Queue, QueueName, ReconcileRequest } from "#core/ports/queue.ts";

/** Queue under test. `receive` takes visible messages, and acknowledges them unless they are to stay in flight. */
export interface QueueUnderTest {
  readonly queue: Queue;
  receive(queue: QueueName, options?: { readonly keep?: boolean }): Promise<ReconcileRequest[]>;
  /** Returns the time of the queue's clock in milliseconds. */
  now(): number;
  /** Lets time pass; a real queue waits. */
  pass(ms: number): Promise<void>;
}

/** Conformance tests of Queue. `open` returns empty queues. */
export function queueConformance(open: () => Promise<QueueUnderTest>): void {
  let test: QueueUnderTest;

  beforeEach(async () => {
    test = await open();
  });

  delivers(() => test);
  delays(() => test);
  groups(() => test);
}

function delivers(test: () => QueueUnderTest): void {
  describe("delivery", () => {
    it("delivers messages unchanged", async () => {
      const message = { look: "owner#Ä#env|🚀 \u2028 <&>\"'", for: ["a|b", ""] };

      await test().queue.send("work", message);

      expect(await test().receive("work")).toEqual([message]);
      expect(await test().receive("work")).toEqual([]);
    });

    it("keeps the two queues separate", async () => {
      await test().queue.send("work", { look: "w|-" });
      await test().queue.send("pools", { look: "p|-" }, { group: "h100" });

      expect(await test().receive("pools")).toEqual([{ look: "p|-" }]);
      expect(await test().receive("work")).toEqual([{ look: "w|-" }]);
    });

    it("counts visible and delayed messages separately, and messages in flight not at all", async () => {
      await test().queue.send("work", { look: "a|-" });
      await test().queue.send("work", { look: "b|-" }, { delaySeconds: 900 });
      await test().queue.send("work", { look: "c|-" }, { delaySeconds: 900 });
      const before = await test().queue.depth("work");

      await test().receive("work", { keep: true });

      expect(before).toEqual({ visible: 1, delayed: 2 });
      expect(await test().queue.depth("work")).toEqual({ visible: 0, delayed: 2 });
      expect(await test().queue.depth("pools")).toEqual({ visible: 0, delayed: 0 });
    });
  });
}

function delays(test: () => QueueUnderTest): void {
  describe("delays", () => {
    // The test checks only messages that come, and when, so a busy machine cannot fail it.
    it("delays a message for its delay", async () => {
      await test().queue.send("work", { look: "much later|-" }, { delaySeconds: 900 });
      const sentAt = test().now();
      await test().queue.send("work", { look: "late|-" }, { delaySeconds: 1 });

      let received = await test().receive("work");
      while (received.length === 0) {
        await test().pass(100);
        received = await test().receive("work");
      }
      const receivedAt = test().now();

      expect(received).toEqual([{ look: "late|-" }]);
      expect(receivedAt - sentAt).toBeGreaterThanOrEqual(1_000);
    });

    it.each([-1, 0.5, 901, Number.NaN])("refuses a delay of %s seconds", async (delaySeconds) => {
      await expect(test().queue.send("work", { look: "a|-" }, { delaySeconds })).rejects.toThrow("0 to 900");
    });

    it("refuses a delay on the FIFO queue", async () => {
      const send = test().queue.send("pools", { look: "a|-" }, { delaySeconds: 1, group: "h100" });

      await expect(send).rejects.toThrow("no delay");
    });
  });
}

function groups(test: () => QueueUnderTest): void {
  describe("groups", () => {
    it("refuses a message without a group on pools, and one with a group on work", async () => {
      await expect(test().queue.send("pools", { look: "a|-" })).rejects.toThrow("needs a group");
      await expect(test().queue.send("work", { look: "a|-" }, { group: "g" })).rejects.toThrow("no groups");
    });

    it("keeps the order of a group", async () => {
      const messages = Array.from({ length: 5 }, (_, n) => ({ look: `pool|${n}` }));
      for (const message of messages) await test().queue.send("pools", message, { group: "h100" });

      expect(await test().receive("pools")).toEqual(messages);
    });

    it("does not drop a message that equals an earlier one", async () => {
      await test().queue.send("pools", { look: "pool#h100|-" }, { group: "h100" });
      await test().queue.send("pools", { look: "pool#h100|-" }, { group: "h100" });

      expect(await test().receive("pools")).toHaveLength(2);
    });

    it("blocks only the group that has a message in flight", async () => {
      await test().queue.send("pools", { look: "h|1" }, { group: "h100" });
      await test().receive("pools", { keep: true });
      await test().queue.send("pools", { look: "h|2" }, { group: "h100" });
      await test().queue.send("pools", { look: "t|1" }, { group: "t4" });

      expect(await test().receive("pools")).toEqual([{ look: "t|1" }]);
    });
  });
}
