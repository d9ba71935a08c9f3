import { serve } from "@hono/node-server";
import { Hono } from "hono";

/** Baseline for a server: Hono on the same adapter, with one path and a small answer. */
const app = new Hono().get("/v1/jobs/:id", (context) => context.json({ job_id: context.req.param("id") }));
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => {
  console.log(`http://127.0.0.1:${port}`);
});
