export const listExamples = {
  200: {
    "One backup": {
      total: 1,
      backups: [
        {
          name: "workspace-abc12345-20260120-180000.zip",
          uuid: "abc12345",
          status: "completed",
          size_bytes: 1048576,
          created_at: "2026-01-20T18:00:00Z",
        },
      ],
    },
  },
};
