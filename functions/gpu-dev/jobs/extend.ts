import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { requestExtension } from "#core/environments/verbs/actions.ts";
import type { Settings } from "#core/settings.ts";
import { HOUR_MS } from "#core/units.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply, perDeployment, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { ActionRequested, exampleRequest, toActionRequested } from "./internal/action.ts";
import { durationHours } from "./internal/job-fields.ts";
import { findJobId, JobRef } from "./internal/job-id.ts";

const ExtendJob = (settings: Settings) =>
  z.object({ extension_hours: durationHours(settings).describe("Number of hours to add.") }).meta({ id: "ExtendJob" });

const route = createRoute({
  method: "post",
  path: "/v1/jobs/{job_id}/extend",
  operationId: "extendJob",
  tags: ["Jobs"],
  summary: "Extend a job",
  description:
    "The new end counts from the answer on. `duration_hours` and `expires_at` show it once the action is `done`.",
  request: { params: JobRef, body: jsonBody(perDeployment(ExtendJob), { "Two hours more": { extension_hours: 2 } }) },
  responses: {
    200: jsonReply(ActionRequested, exampleRequest("extend", "Extension request submitted for 2 hours")),
    409: problemReply("The status of the job does not allow it, or several of your jobs begin like this"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], creates: "uid" },
  async ({ ctx, params, body, resource }) => {
    const id = await findJobId(ctx, params);
    const action = await requestExtension(ctx, id, Math.round(body.extension_hours * HOUR_MS), resource.uid);
    return toActionRequested(id, action, body.extension_hours);
  },
);

export const handler = lambda(endpoint, { table, queue });
