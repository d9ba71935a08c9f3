import type { PlantedBug } from "./plant.ts";

const cookieTests = "../../functions/gpu-dev/web/cookie.test.ts";

/** Mistakes of logins in a browser, and of the pages there. */
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
  {
    name: "a page that reads while it is hidden",
    caughtBy: {
      project: "console",
      file: "../../tests/console/live.test.ts",
      title: "no screen reads while it is hidden, and each reads again once it is shown",
    },
    edits: [
      {
        file: "../console/data/live.ts",
        find: "refetchIntervalInBackground: false",
        replace: "refetchIntervalInBackground: true",
      },
    ],
  },
  {
    name: "a log as markup",
    caughtBy: {
      project: "console",
      file: "../../tests/console/hostile.test.ts",
      title: "a command and a log of 10 KB of markup are shown as text alone",
    },
    edits: [
      {
        file: "../console/screens/logs.tsx",
        find: '>{text.replace(/\\n$/, "")}</pre>',
        replace: " ref={(pre) => pre && (pre.innerHTML = text)} />",
      },
    ],
  },
];
