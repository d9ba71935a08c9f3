export const stageSettings = {
  DOMAIN: "berth.dev",
  ALLOWED_ACCOUNTS: "111111111111",
  ALLOWED_ROLES: "Dev",
  EKS_CLUSTER: "gpus",
  LOGIN_SERVER_ID: "berth.dev",
  ALARM_EMAIL: "oncall@berth.dev",
} as const;
