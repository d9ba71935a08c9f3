import { berth } from "./client.ts";
import { needsLogin } from "./lost-session.ts";

let code: string | undefined;

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
  location.assign("/login");
}
