/** The groups of operations, in the order in which a newcomer needs them. */
export const tags = {
  Login: "Exchange the AWS identity that you already have for an API key.",
  Jobs: "Submit a job, watch it, reach it, extend it, cancel it.",
  Disks: "Named disks, which outlive the jobs that use them.",
  Capacity: "What GPUs there are, and how many of them are free.",
  Keys: "The API keys that you have.",
  Webhooks: "What your receivers were told, and how they took it.",
  Sessions: "Sessions (onmemos): a small machine with a template, and commands that run in it to their end.",
  Workspaces: "Workspaces (onmemos, the older family): the same machines with further keys, and a web shell.",
  "IDE sessions": "VS Code sessions (session-manager): created, put to sleep, woken, talked to.",
  "IDE backups": "What is kept of deleted VS Code sessions.",
  Instances: "GPU instances (novita) of a product and a template, which stop when nobody uses them.",
  "Instance statistics": "Numbers about the instances and the process that answers (novita).",
  Environments: "Development environments (dev8) under ids of your own choice, which keep their volumes.",
  Admin: "For operators alone: to everybody else these paths are 404.",
  Health: "Whether Berth is well, and these pages.",
} as const satisfies Record<string, string>;

export type Tag = keyof typeof tags;
