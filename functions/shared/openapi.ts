import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { answer } from "#http/answers/answer.ts";
import { readAsset } from "#http/asset.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";

const route = createRoute({
  method: "get",
  path: "/openapi.json",
  hide: true,
  summary: "This document",
  responses: { 200: { description: "The page", content: {} } },
});

export const endpoint = gpuDev.endpoint(route, { uses: [], public: true, reply: z.string() }, async () =>
  answer(JSON.stringify(JSON.parse(readAsset("openapi.json"))), { contentType: "application/json" }),
);

export const handler = lambda(endpoint, {});
