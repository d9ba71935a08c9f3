import { useMutation, useMutationState, useQueryClient } from "@tanstack/react-query";
import { announce } from "../parts/announcer.tsx";
import { hurry } from "./live.ts";
import { printable } from "./words.ts";

export interface Act {
  /** The thing that is acted on, so that a list and a page show the same outcome. */
  readonly subject: string;
  /** Label of the button, such as `End`. */
  readonly label: string;
  /** Whether the API answers before the act is done. Then only the record shows the outcome. */
  readonly isAcceptedOnly: boolean;
  /** Requests the act, and resolves once the record says that it is done, or the API has accepted it. */
  run(): Promise<unknown>;
}

export interface ShownAct {
  readonly state: "requested" | "done" | "failed";
  readonly text: string;
}

/** Returns a function that carries out acts and announces their outcomes. */
export function useAct(subject: string) {
  const client = useQueryClient();
  const { mutateAsync } = useMutation<unknown, Error, Act>({
    mutationKey: ["act", subject],
    mutationFn: ({ run }) => run(),
    onMutate: ({ label }) => {
      announce(`${label}: requested`);
      hurry();
    },
    onSuccess: (_, { label, isAcceptedOnly }) => {
      if (!isAcceptedOnly) announce(`${label}: done`);
    },
    onError: (error, { label }) => announce(`${label} failed: ${printable(error.message, 500)}`),
    onSettled: () => {
      hurry();
      return client.invalidateQueries();
    },
    gcTime: 10 * 60_000,
  });
  return (label: string, run: () => Promise<unknown>, { isAcceptedOnly = false } = {}) =>
    mutateAsync({ subject, label, isAcceptedOnly, run }).then(
      () => true,
      () => false,
    );
}

/** Returns the newest act on a thing, and how it went. */
export function useShownAct(subject: string): ShownAct | undefined {
  const states = useMutationState({
    filters: { mutationKey: ["act", subject], exact: true },
    select: ({ state }) => ({ status: state.status, error: state.error, act: state.variables as Act | undefined }),
  });
  const last = states.at(-1);
  if (!last?.act) return undefined;
  const { label, isAcceptedOnly } = last.act;
  const isRequested = last.status === "pending" || (last.status === "success" && isAcceptedOnly);
  if (isRequested) return { state: "requested", text: `${label}: requested` };
  if (last.status === "success") return { state: "done", text: `${label}: done` };
  return { state: "failed", text: `${label} failed: ${printable(last.error?.message ?? "unknown", 500)}` };
}
