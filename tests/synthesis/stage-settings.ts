export const stageSettings = {
  DOMAIN: "berth.dev",
  ALLOWED_ACCOUNTS: "111111111111",
  ALLOWED_ROLES: "Dev",
  EKS_CLUSTER: "gpus",
  LOGIN_SERVER_ID: "berth.dev",
  ALARM_EMAIL: "oncall@berth.dev",
  ACCESS: "gateway",
  SSH_HOST_KEYS: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGfsCoS5UjAy7HiBBGNyDsGJMwkDBCcPVNGtvJnbjDTi",
} as const;

/** An address of the API server that a stage configures itself. */
export const ownEndpoint = "https://gpus.internal.example";
