import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { Problem } from "#core/problem.ts";
import { answer } from "#http/answers/answer.ts";
import { readAsset } from "#http/asset.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";

// The validator badge of Swagger UI would ask a foreign host.
const start = `SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  filter: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
`;

const files = new Map([
  ["start.js", { contentType: "text/javascript; charset=utf-8", read: () => start }],
  ["swagger-ui.css", { contentType: "text/css; charset=utf-8", read: () => readAsset("swagger-ui.css") }],
  [
    "swagger-ui-bundle.js",
    { contentType: "text/javascript; charset=utf-8", read: () => readAsset("swagger-ui-bundle.js") },
  ],
]);

const route = createRoute({
  method: "get",
  path: "/docs/{asset}",
  hide: true,
  summary: "A file of Swagger UI",
  request: { params: z.object({ asset: z.string() }) },
  responses: { 200: { description: "The page", content: {} } },
});

export const endpoint = gpuDev.endpoint(route, { uses: [], public: true, reply: z.string() }, async ({ params }) => {
  const file = files.get(params.asset);
  if (!file) throw new Problem("notFound", "Not Found");
  const headers = { "X-Content-Type-Options": "nosniff" };
  return answer(file.read(), { contentType: file.contentType, headers });
});

export const handler = lambda(endpoint, {});
