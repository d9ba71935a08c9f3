import * as z from "zod";

export const Endpoints = z.object({
  jobs: z.string(),
  disks: z.string(),
  gpu_availability: z.string(),
  cluster_status: z.string(),
});

/** Printed by the API's document, key for key (docs/apis/common.md#public-endpoints). */
export const Root = z.object({
  service: z.string(),
  version: z.string(),
  docs: z.string(),
  health: z.string(),
  auth: z.object({ aws_login: z.string(), description: z.string() }),
  endpoints: Endpoints,
});
