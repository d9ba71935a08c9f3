import { useEffect, useRef, useState } from "react";
import type { Me } from "../../../sdk/berth.ts";
import { keptItems } from "../../data/kept-items.ts";
import { useKept } from "../../data/live.ts";
import { type NewJob, usualJob } from "../../data/new-job.ts";
import { hasSignedOut } from "../../data/session.ts";

interface KeptForm {
  readonly user: string;
  readonly job: NewJob;
  readonly idempotencyKey: string | undefined;
}

const item = "berth.new-job";

/**
 * Returns the values of the form. All but the password survive a reload of this tab, for example after an update of Berth.
 * They are stored only when the page is left, so a duplicated tab has an empty form.
 */
export function useKeptForm() {
  const user = useKept<Me>(["me"])?.username ?? "";
  const [kept] = useState(() => takeForm(user));
  const [job, setJob] = useState(kept?.job ?? usualJob);
  // An unchanged form keeps its key, so that a second submit after a lost answer starts no second job.
  const idempotencyKey = useRef(kept?.idempotencyKey);
  const change = (changes: Partial<NewJob>) => {
    idempotencyKey.current = undefined;
    setJob((before) => ({ ...before, ...changes }));
  };
  useEffect(() => {
    const keep = () => {
      // A command may hold a secret, so it must not outlive its user's session.
      if (job !== usualJob && !hasSignedOut()) keepForm({ user, job, idempotencyKey: idempotencyKey.current });
    };
    // A page that the browser restores still has its form in memory.
    const forget = () => void takeForm(user);
    addEventListener("pagehide", keep);
    addEventListener("pageshow", forget);
    return () => {
      removeEventListener("pagehide", keep);
      removeEventListener("pageshow", forget);
    };
  }, [user, job]);
  return { job, change, idempotencyKey };
}

function keepForm({ job, ...form }: KeptForm): void {
  keptItems.write("sessionStorage", item, JSON.stringify({ ...form, job: { ...job, registryPassword: "" } }));
}

/** Returns the form that the last page of this tab left, if the same user did, and removes it. */
function takeForm(user: string): KeptForm | undefined {
  const form = keptItems.take<KeptForm>("sessionStorage", item);
  return form?.user === user ? { ...form, job: { ...usualJob, ...form.job } } : undefined;
}
