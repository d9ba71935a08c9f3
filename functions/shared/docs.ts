import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { answer } from "#http/answers/answer.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";

/** All addresses are relative, so the page works behind a path prefix and asks no other host. */
const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Berth API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;

// Swagger UI sets style attributes and uses icons in data: URLs.
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const route = createRoute({
  method: "get",
  path: "/docs",
  hide: true,
  summary: "Swagger UI",
  responses: { 200: { description: "The page", content: {} } },
});

export const endpoint = gpuDev.endpoint(route, { uses: [], public: true, reply: z.string() }, async () =>
  answer(page, {
    contentType: "text/html; charset=utf-8",
    headers: { "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff" },
  }),
);

export const handler = lambda(endpoint, {});
