import * as z from "zod";
import type { NounDocument } from "#http/noun-document.ts";
import { Endpoints, Root } from "../wire.ts";

export const document: NounDocument = {
  tag: "Health",
  schemas: { ServiceEndpoints: Endpoints, ServiceInfo: Root },
  fields: {
    service: "The name of the API.",
    version: "The version of the published API.",
    docs: "The path of the interactive documentation.",
    health: "The path of the health check.",
    auth: "How to log in.",
    aws_login: "The path of the login.",
    description: "What the login does.",
    endpoints: "Paths to go on with.",
    jobs: "The path of jobs.",
    disks: "The path of disks.",
    gpu_availability: "The path of the GPU availability.",
    cluster_status: "The path of the cluster status.",
  },
  operations: {
    root: {
      id: "getInfo",
      description: "A browser, which accepts `text/html` and not JSON, gets a page.",
      replies: {
        200: {
          content: { "application/json": Root, "text/html": z.string() },
          examples: {
            "Always the same": {
              service: "GPU Dev API",
              version: "1.0.0",
              docs: "/docs",
              health: "/health",
              auth: { aws_login: "/v1/auth/aws-login", description: "Use AWS credentials to obtain an API key" },
              endpoints: {
                jobs: "/v1/jobs",
                disks: "/v1/disks",
                gpu_availability: "/v1/gpu/availability",
                cluster_status: "/v1/cluster/status",
              },
            },
          },
        },
      },
    },
  },
};
