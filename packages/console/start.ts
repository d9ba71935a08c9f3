import "./data/first-reads.ts";
import { takeCode } from "./data/session.ts";

takeCode();
// A login link that is pasted into a tab of the login page changes only the fragment of its address.
addEventListener("hashchange", () => {
  if (location.hash.startsWith("#code=")) location.reload();
});
