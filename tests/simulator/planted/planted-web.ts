import type { PlantedBug } from "./plant.ts";

const cookieTests = "../../functions/gpu-dev/web/cookie.test.ts";

/** Mistakes of logins in a browser. */
export const webBugs: readonly PlantedBug[] = [
  {
    name: "a browser's cookie that counts for pages of other sites",
    caughtBy: { file: cookieTests, title: "is no key without Sec-Fetch-Site" },
    edits: [
      {
        file: "../http/keys/session-cookie.ts",
        find: 'if (headers.get("sec-fetch-site") !== "same-origin") return false;',
        replace: "",
      },
    ],
  },
  {
    name: "a login code that opens two sessions",
    caughtBy: {
      file: "../../functions/gpu-dev/web/web.test.ts",
      title: "opens one session for 50 simultaneous requests with one code",
    },
    edits: [
      {
        file: "users/web-sessions.ts",
        find: "if (!(await writeRecord(ctx, { ...record, isUsed: true }))) throw invalidCode();",
        replace: "",
      },
    ],
  },
  {
    name: "a browser's cookie that counts for sockets",
    caughtBy: {
      project: "stack",
      file: "../local/server/sockets.test.ts",
      title: "is refused with a browser's session, in its cookie or in any other place",
    },
    edits: [
      {
        file: "../http/handshake.ts",
        find: "check(request.headers, [key, readQuery(request.url).api_key]);",
        replace:
          'check(request.headers, [key, readQuery(request.url).api_key], request.headers.get("cookie")?.split("=")[1]);',
      },
    ],
  },
];
