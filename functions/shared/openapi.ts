import * as z from "zod";
import { answer } from "#http/answer.ts";
import { readAsset } from "#http/asset.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";

export const endpoint = gpuDev.get(
  "/openapi.json",
  { summary: "This document", uses: [], public: true, reply: z.string() },
  async () => answer(JSON.stringify(JSON.parse(readAsset("openapi.json"))), { contentType: "application/json" }),
);

export const handler = lambda(endpoint, {});
