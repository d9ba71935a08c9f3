import type { Me } from "../../sdk/berth.ts";
import { useAct } from "../data/acts.ts";
import { signOut } from "../data/session.ts";
import { Ask } from "../parts/ask.tsx";

/** Signs out after a question. */
export function SignOutAct({ me }: { readonly me: Me }) {
  const act = useAct("session");
  return (
    <Ask
      title="Sign out of this browser"
      label="Sign out"
      words={`berth keys revoke ${me.key.key_prefix}`}
      act={() => void act("Sign out", signOut)}
    >
      <p>The session of this browser ends. Environments and other browsers go on.</p>
    </Ask>
  );
}
