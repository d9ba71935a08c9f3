import type { Me } from "../../sdk/berth.ts";
import type { JobSummary } from "../../sdk/jobs.ts";
import { printable } from "../data/words.ts";

export type ActName = "Extend" | "End" | "Share" | "Jupyter";

/** What the palette finds: a screen of this page, another page, or an act on a job. */
export type Entry = { readonly key: string; readonly label: string; readonly hint: string } & (
  | { readonly screen: string }
  | { readonly page: string }
  | { readonly act: ActName; readonly job: JobSummary }
);

const screens: readonly [path: string, label: string][] = [
  ["/", "Environments"],
  ["/new", "New environment"],
  ["/disks", "Disks"],
  ["/cluster", "Cluster"],
  ["/account", "Account"],
];

const operatorScreens: typeof screens = [
  ["/admin", "Operation"],
  ["/admin/users", "Users"],
  ["/admin/deliveries", "Webhook deliveries of all users"],
  ["/admin/audit", "Audit"],
];

/** Lists the screens, then the environments with what can be done to each. */
export function listEntries({ is_operator }: Me, jobs: readonly JobSummary[]): Entry[] {
  const paths = is_operator ? [...screens, ...operatorScreens] : screens;
  return [
    ...paths.map(([path, label]) => ({ key: path, label, hint: "screen", screen: path })),
    ...jobs.flatMap((job) => entriesOf(job)),
  ];
}

function entriesOf(job: JobSummary): Entry[] {
  const { job_id: id, status, jupyter_enabled } = job;
  const name = printable(job.name, 80);
  const hint = printable(status, 40);
  const act = (label: string, actName: ActName): Entry => ({
    key: `${actName} ${id}`,
    label: `${label} ${name}`,
    hint,
    act: actName,
    job,
  });
  const isActive = status === "active";
  return [
    { key: id, label: name, hint, screen: `/jobs/${id}` },
    ...(isActive ? [{ key: `t ${id}`, label: `Terminal of ${name}`, hint, page: `/jobs/${id}/terminal` }] : []),
    { key: `l ${id}`, label: `Log of ${name}`, hint, screen: `/jobs/${id}/logs` },
    act("Extend", "Extend"),
    act("End", "End"),
    ...(isActive
      ? [act("Share", "Share"), act(jupyter_enabled ? "Stop Jupyter of" : "Start Jupyter of", "Jupyter")]
      : []),
  ];
}

/** Returns the entries that hold each word of a text. Those whose own words begin so come first: `end` before `extend`. */
export function findEntries(entries: readonly Entry[], text: string): Entry[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const holding = (before: string) =>
    entries.filter(({ label, hint }) => {
      const all = ` ${label} ${hint}`.toLowerCase();
      return words.every((word) => all.includes(before + word));
    });
  return [...new Set([...holding(" "), ...holding("")])];
}
