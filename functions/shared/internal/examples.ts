const healthy = {
  status: "healthy",
  timestamp: "2026-01-20T18:30:00Z",
  uptime: "2h30m15s",
  uptimeSeconds: 9015,
  version: "1.0.0",
  service: "berth",
  database: "healthy",
  queue: "healthy",
  cluster: { reachable: true, since: null },
  isolation: "bubblewrap, own network",
  limits: "cgroup-v2",
  services: {
    jobQueue: "up",
    server: "running",
    storage: "available",
  },
};

const unhealthy = {
  ...healthy,
  status: "unhealthy",
  reason: "Messages cannot be read",
  queue: "unhealthy",
  services: { ...healthy.services, jobQueue: "down" },
};

const discovery = {
  service: "berth",
  version: "1.0.0",
  min_client_version: "1.0.0",
  login: {
    path: "/v1/auth/aws-login",
    server_id: "berth-local",
    sts_origins: ["https://sts.us-east-1.amazonaws.com"],
    region: "us-east-1",
  },
  paths: { docs: "/docs", openapi: "/openapi.json", console: null },
  ssh: { host: "127.0.0.1", port: 2222 },
  cli: {
    version: "1.0.0",
    path: "/cli/berth.tgz",
    sha256: "5d2f0c2e0b1a4f6f8c7e9d3b1a2c4e6f80912a3b4c5d6e7f8091a2b3c4d5e6f7",
    min_version: "1.0.0",
  },
};

export const healthExamples = {
  200: {
    Well: healthy,
    "As dev8's document prints it": { ...healthy, timestamp: "2025-10-27T14:30:00Z" },
  },
  503: { "The queue is down": unhealthy },
};

export const readyExamples = {
  200: { Ready: { status: "ready" } },
  503: { "Not ready": { status: "not ready" } },
};

export const liveExamples = {
  200: { Alive: { status: "alive" } },
};

export const discoveryExamples = {
  200: { "A local stack": discovery },
};
