import createClient from "openapi-fetch";
import type { components, paths } from "./berth.js";

// A user's program over the types that openapi-typescript makes of openapi.json. It prints what it saw, as JSON.

const [baseUrl = "", key = ""] = process.argv.slice(2);
const berth = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

const submission: components["schemas"]["SubmitJob"] = {
  image: "ubuntu:24.04",
  instance_type: "c7i.8xlarge",
  github_user: null,
};
const submitted = await berth.POST("/v1/jobs/submit", { body: submission });
if (submitted.error) throw new Error(JSON.stringify(submitted.error));

const params = { path: { job_id: submitted.data.job_id } };
const shown = await berth.GET("/v1/jobs/{job_id}", { params });
if (shown.error) throw new Error(JSON.stringify(shown.error));
const job: components["schemas"]["Job"] = shown.data;
const status: components["schemas"]["JobStatus"] = job.status;

const cancelled = await berth.POST("/v1/jobs/{job_id}/cancel", { params });
const unknown = await berth.GET("/v1/jobs/{job_id}", { params: { path: { job_id: "nope" } } });
const listed = await berth.GET("/v1/jobs", { params: { query: { limit: 10 } } });
const summary: components["schemas"]["JobSummary"] | undefined = listed.data?.jobs[0];

console.log(
  JSON.stringify({
    submitted: submitted.data.status,
    sameJob: job.job_id === submitted.data.job_id && summary?.job_id === job.job_id,
    gpus: job.gpu_count,
    knownStatus: ["queued", "preparing", "active"].includes(status),
    cancelled: cancelled.data?.action,
    unknown: [unknown.response.status, unknown.error?.detail],
  }),
);
