import { expect, expectTypeOf, test } from "vitest";
import * as z from "zod";
import type { Queue } from "#core/ports/queue.ts";
import type { Table } from "#core/ports/table.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import type { Endpoint } from "#http/endpoint.ts";
import { lambda } from "./lambda.ts";

const Status = z.object({ status: z.enum(["on", "off"]) });
const make = {
  table: (): Table => {
    throw new Error("made");
  },
  queue: (): Queue => {
    throw new Error("made");
  },
};

test("the compiler requires exactly the adapters that an endpoint needs", () => {
  const withQueue = gpuDev.get("/v1/a", { summary: "A", uses: ["queue"], reply: Status }, async () => ({
    status: "on" as const,
  }));
  const plain = gpuDev.get("/v1/b", { summary: "B", uses: [], reply: Status }, async () => ({ status: "on" as const }));
  const open = gpuDev.get("/v1/c", { summary: "C", uses: [], public: true, reply: Status }, async () => ({
    status: "on" as const,
  }));
  expectTypeOf(withQueue).toEqualTypeOf<Endpoint<"queue" | "table">>();

  lambda(withQueue, make);
  lambda(plain, { table: make.table });
  lambda(open, {});
  // @ts-expect-error one too few
  lambda(withQueue, { queue: make.queue });
  // @ts-expect-error keys are read from the table
  lambda(plain, {});
  // @ts-expect-error one too many
  lambda(plain, make);
  // @ts-expect-error one too many for a public endpoint
  lambda(open, { table: make.table });
  // @ts-expect-error the wrong port under a name
  lambda(plain, { table: make.queue });

  expect(withQueue.uses).toEqual(["queue", "table"]);
  expect(open.uses).toEqual([]);
});
