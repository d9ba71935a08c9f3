export const rootExamples = {
  200: {
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
};
