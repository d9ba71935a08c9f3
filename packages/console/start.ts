import "./console.css";
import "./data/first-reads.ts";
import { followSession, takeCode } from "./data/session.ts";
import { drawFirstRows } from "./first-rows.ts";
import { showLoadFailure } from "./load-failure.ts";

takeCode();
followSession();
// A login link that is pasted into a tab of the login page changes only the fragment of its address.
addEventListener("hashchange", () => {
  if (location.hash.startsWith("#code=")) location.reload();
});
// Evaluating React blocks the page, so the first rows get 50 ms to come before. React shows why a read failed.
const drawn = drawFirstRows().catch(() => undefined);
await Promise.race([drawn, new Promise((resolve) => setTimeout(resolve, 50))]);
await import("./main.tsx").catch(() => {
  const root = document.getElementById("root");
  if (root) showLoadFailure(root);
});
