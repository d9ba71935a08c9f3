import * as z from "zod";

const Endpoints = z
  .object({
    jobs: z.string().describe("The path of jobs."),
    disks: z.string().describe("The path of disks."),
    gpu_availability: z.string().describe("The path of the GPU availability."),
    cluster_status: z.string().describe("The path of the cluster status."),
  })
  .meta({ id: "ServiceEndpoints" });

/** Keys as the API's document prints them (docs/apis/common.md#public-endpoints). */
export const Root = z
  .object({
    service: z.string().describe("The name of the API."),
    version: z.string().describe("The version of the published API."),
    docs: z.string().describe("The path of the interactive documentation."),
    health: z.string().describe("The path of the health check."),
    auth: z
      .object({
        aws_login: z.string().describe("The path of the login."),
        description: z.string().describe("What the login does."),
      })
      .describe("How to log in."),
    endpoints: Endpoints.describe("Paths to go on with."),
  })
  .meta({ id: "ServiceInfo" });
