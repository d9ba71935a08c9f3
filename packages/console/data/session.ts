import { berth } from "./client.ts";

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

/** Uses up the code. The answer sets the session's cookie. */
export async function signIn(held: string): Promise<void> {
  code = undefined;
  await berth.web.openSession(held);
}

/** Ends the session, and forgets all that this page has read. */
export async function signOut(): Promise<void> {
  await berth.web.closeSession().catch(() => undefined);
  location.assign("/login");
}
