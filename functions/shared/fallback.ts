import * as z from "zod";
import { readAsset } from "#http/asset.ts";
import type { Fallback } from "#http/catalog.ts";
import type { Route } from "#http/routes.ts";
import { fallbackLambda } from "#lambda/lambda.ts";

const Functions = z.array(z.object({ kind: z.string(), method: z.string().optional(), path: z.string().optional() }));
const Routed = z.object({ method: z.enum(["get", "post", "put", "delete"]), path: z.string() });

export const fallback: Fallback = { kind: "fallback", uses: [], timeoutSeconds: 10, memoryMb: 512 };

export const handler = fallbackLambda(readRoutes);

function readRoutes(): Route[] {
  const functions = Functions.parse(JSON.parse(readAsset("functions.json")));
  return functions.filter(({ kind }) => kind === "endpoint").map((endpoint) => Routed.parse(endpoint));
}
