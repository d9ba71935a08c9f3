import { berth } from "./client.ts";
import { needsLogin } from "./lost-session.ts";

let code: string | undefined;

/** Tells the other tabs of this browser that its session is another one now. */
const changes = openChannel();

let isSignedOut = false;

/** Reports whether the user has signed out, here or in another tab. This page is about to leave then. */
export function hasSignedOut(): boolean {
  return isSignedOut;
}

/** Reloads this page once another tab logs in or signs out, because its data are of the earlier user. */
export function followSession(): void {
  changes?.addEventListener("message", ({ data }) => {
    isSignedOut = data === "sign-out";
    location.reload();
  });
}

/** Takes the code of a login link out of the address, so that no history and no screenshot has it. */
export function takeCode(): void {
  const found = new URLSearchParams(location.hash.slice(1)).get("code");
  if (location.pathname !== "/login" || found === null) return;
  code = found;
  history.replaceState(null, "", "/login");
}

export function heldCode(): string | undefined {
  return code;
}

/** Uses up the code. The answer sets the session's cookie. Reports whether this browser kept it. */
export async function signIn(held: string): Promise<boolean> {
  code = undefined;
  await berth.web.openSession(held);
  changes?.postMessage("login");
  return berth.me().then(
    () => true,
    (error) => {
      if (needsLogin(error)) return false;
      throw error;
    },
  );
}

/** Ends the session, and forgets all that this page has read. Throws while the session goes on. */
export async function signOut(): Promise<void> {
  await berth.web.closeSession().catch((error) => {
    if (!needsLogin(error)) throw error;
  });
  isSignedOut = true;
  changes?.postMessage("sign-out");
  location.assign("/login");
}

/** Returns undefined where the browser keeps nothing of this site. It has no session there either. */
function openChannel(): BroadcastChannel | undefined {
  try {
    return new BroadcastChannel("berth.session");
  } catch {
    return undefined;
  }
}
