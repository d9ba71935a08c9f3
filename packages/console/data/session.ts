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

export interface WebCode {
  readonly username: string;
}

/** Says whose code it is, without using it up. */
export async function showCode(held: string): Promise<WebCode> {
  const call = { body: { code: held }, public: true, repeat: "never" } as const;
  return (await berth.call("POST", "/v1/web/codes/show", call)) as WebCode;
}

/** Uses up the code. The answer sets the session's cookie. */
export async function signIn(held: string): Promise<void> {
  code = undefined;
  await berth.call("POST", "/v1/web/sessions", { body: { code: held }, public: true, repeat: "never" });
}

/** Ends the session, and forgets all that this page has read. */
export async function signOut(): Promise<void> {
  await berth.call("DELETE", "/v1/web/sessions").catch(() => undefined);
  location.assign("/login");
}
