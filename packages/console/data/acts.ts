import { useMutation, useMutationState, useQueryClient } from "@tanstack/react-query";
import { announce } from "../parts/announcer.tsx";
import { hurry } from "./live.ts";
import { LostOutcomeError } from "./wait-for-end.ts";
import { printable } from "./words.ts";

export interface Act {
  /** The thing that is acted on, so that a list and a page show the same outcome. */
  readonly subject: string;
  /** Label of the button, such as `End`. */
  readonly label: string;
  /** For an act that the API answers before it is done: the version of the record that the user saw. */
  readonly acceptedAt: string | undefined;
  /** Requests the act, and resolves once the record says that it is done, or the API has accepted it. */
  run(): Promise<unknown>;
}

/** The outcome that a record shows, and the version of the record. It is the act's if the version is not `acceptedAt`. */
export interface RecordedEnd {
  readonly version: string;
  readonly state: "done" | "failed";
}

export interface ShownAct {
  readonly state: "requested" | "done" | "failed";
  readonly text: string;
  /** True if a record shows it. False if it is the answer to the request. */
  readonly isRecorded: boolean;
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
    onSuccess: (_, { label, acceptedAt }) => {
      if (acceptedAt === undefined) announce(`${label}: done`);
    },
    onError: (error, { label }) => announce(describeError(label, error).text),
    onSettled: () => {
      hurry();
      // No act changes the page, and its read may hang.
      return client.invalidateQueries({ predicate: ({ queryKey: [name] }) => name !== "page" });
    },
    gcTime: 10 * 60_000,
  });
  return (label: string, run: () => Promise<unknown>, { acceptedAt }: Partial<Pick<Act, "acceptedAt">> = {}) =>
    mutateAsync({ subject, label, acceptedAt, run }).then(
      () => true,
      () => false,
    );
}

/** Returns the newest act on a thing, and how it went. `end` is the outcome of an act that the API only accepted. */
export function useShownAct(subject: string, end?: RecordedEnd): ShownAct | undefined {
  const states = useMutationState({
    filters: { mutationKey: ["act", subject], exact: true },
    select: ({ state }) => ({ status: state.status, error: state.error, act: state.variables as Act | undefined }),
  });
  const last = states.at(-1);
  if (!last?.act) return undefined;
  const { label, acceptedAt } = last.act;
  if (last.status === "error") return describeError(label, last.error);
  const isRequested =
    last.status !== "success" || (acceptedAt !== undefined && (end?.version ?? acceptedAt) === acceptedAt);
  const isRecorded = acceptedAt !== undefined;
  if (isRequested) return { state: "requested", text: `${label}: requested`, isRecorded };
  if (isRecorded && end?.state === "failed") return { state: "failed", text: `${label} failed`, isRecorded };
  return { state: "done", text: `${label}: done`, isRecorded };
}

function describeError(label: string, error: Error | null): ShownAct {
  const text =
    error instanceof LostOutcomeError
      ? `${label}: accepted, but its record no longer shows the outcome`
      : `${label} failed: ${printable(error?.message ?? "unknown", 500)}`;
  return { state: "failed", text, isRecorded: false };
}
