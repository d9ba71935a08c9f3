import { createRoute } from "@hono/zod-openapi";
import { expect, expectTypeOf, test } from "vitest";
import * as z from "zod";
import type { Queue } from "#core/ports/queue.ts";
import type { Table } from "#core/ports/table.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import type { Endpoint } from "#http/endpoint.ts";
import { jsonReply } from "#http/route.ts";
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
  const withQueue = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/a", responses: { 200: jsonReply(Status) } }),
    { uses: ["queue"] },
    async () => ({
      status: "on" as const,
    }),
  );
  const plain = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/b", responses: { 200: jsonReply(Status) } }),
    { uses: [] },
    async () => ({ status: "on" as const }),
  );
  const open = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/c", responses: { 200: jsonReply(Status) } }),
    { uses: [], public: true },
    async () => ({
      status: "on" as const,
    }),
  );
  expectTypeOf(withQueue).toEqualTypeOf<Endpoint<"queue" | "table">>();

  lambda(withQueue, make);
  lambda(plain, { table: make.table });
  lambda(open, {});
  // @ts-expect-error the adapter of the table is missing
  lambda(withQueue, { queue: make.queue });
  // @ts-expect-error a key check needs the table
  lambda(plain, {});
  // @ts-expect-error the endpoint does not use the queue
  lambda(plain, make);
  // @ts-expect-error a public endpoint uses no table
  lambda(open, { table: make.table });
  // @ts-expect-error the wrong port under a name
  lambda(plain, { table: make.queue });

  expect(withQueue.uses).toEqual(["queue", "table"]);
  expect(open.uses).toEqual([]);
});
