import type { ReactNode } from "react";
import type { Me } from "../../../sdk/berth.ts";
import type { Disk } from "../../../sdk/disks.ts";
import type { JobSummary } from "../../../sdk/jobs.ts";
import type { Key } from "../../../sdk/keys.ts";
import type { WebhookDelivery } from "../../../sdk/webhooks.ts";
import { listPlaces } from "../../data/screens.ts";
import { printable } from "../../data/words.ts";
import { Revoke } from "../account.tsx";
import { Resend } from "../delivery.tsx";
import { Create, Delete, MakeSnapshot, Rename, Undelete } from "../disks/disk-acts.tsx";
import { RestoreAny } from "../disks/snapshots.tsx";
import { End, Extend, isLiving, Jupyter, Share } from "../job-acts.tsx";
import { SignOutAct } from "../sign-out.tsx";

/**
 * An entry of the palette: a link to another page, or to a screen of the console. An act opens on the screen that shows
 * its outcome.
 */
export type Entry = { readonly key: string; readonly label: string; readonly hint: string } & (
  | { readonly page: string }
  | { readonly screen: string; readonly act?: ReactNode }
);

const otherScreens: readonly (readonly [path: string, label: string])[] = [["/new", "New environment"]];

const operatorScreens: typeof otherScreens = [
  ["/admin/users", "Users"],
  ["/admin/deliveries", "Webhook deliveries of all users"],
  ["/admin/audit", "Audit"],
];

export function listScreens(me: Me): Entry[] {
  const paths = [...listPlaces(me), ...otherScreens, ...(me.is_operator ? operatorScreens : [])];
  return paths.map(([path, label]) => ({ key: path, label, hint: "screen", screen: path }));
}

export function listJobEntries(job: JobSummary): Entry[] {
  const { job_id: id, status, jupyter_enabled } = job;
  const name = printable(job.name, 80);
  const hint = printable(status, 40);
  const screen = `/jobs/${id}`;
  const act = (label: string, element: ReactNode): Entry => {
    return { key: `${label} ${id}`, label: `${label} ${name}`, hint, screen, act: element };
  };
  const isActive = status === "active";
  return [
    { key: id, label: name, hint, screen },
    ...(isActive ? [{ key: `t ${id}`, label: `Terminal of ${name}`, hint, page: `${screen}/terminal` }] : []),
    { key: `l ${id}`, label: `Log of ${name}`, hint, screen: `${screen}/logs` },
    ...(isLiving(job) ? [act("Extend", <Extend job={job} />), act("End", <End job={job} />)] : []),
    ...(isActive
      ? [
          act("Share", <Share job={job} />),
          act(jupyter_enabled ? "Stop Jupyter of" : "Start Jupyter of", <Jupyter job={job} />),
        ]
      : []),
  ];
}

export function listDiskEntries(disks: readonly Disk[]): Entry[] {
  const create = { key: "new disk", label: "New disk", hint: "act", screen: "/disks", act: <Create /> };
  return [create, ...disks.flatMap((disk) => entriesOf(disk))];
}

function entriesOf(disk: Disk): Entry[] {
  const { disk_name: name } = disk;
  const hint = disk.is_deleted ? "deleted disk" : "disk";
  const screen = `/disks/${encodeURIComponent(name)}`;
  const act = (label: string, element: ReactNode): Entry => {
    return {
      key: `${label} disk ${name}`,
      label: `${label} ${printable(name, 64)}`,
      hint,
      screen,
      act: element,
    };
  };
  return [
    { key: `${hint} ${name}`, label: printable(name, 64), hint, screen },
    ...(disk.is_deleted
      ? [act("Bring back", <Undelete disk={disk} />)]
      : [
          act("Snapshot", <MakeSnapshot name={name} />),
          ...(disk.snapshot_count > 0 ? [act("Restore", <RestoreAny name={name} />)] : []),
          act("Rename", <Rename name={name} />),
          act("Delete", <Delete disk={disk} />),
        ]),
  ];
}

/** Lists the acts on keys, browsers and webhook deliveries. */
export function listAccountEntries(me: Me, keys: readonly Key[], deliveries: readonly WebhookDelivery[]): Entry[] {
  const screen = "/account";
  return [
    { key: "sign out", label: "Sign out", hint: "this browser", screen, act: <SignOutAct me={me} /> },
    ...keys.map((key) => ({
      key: `key ${key.key_prefix}`,
      label: `Revoke ${printable(key.key_prefix, 20)}`,
      hint: key.current ? "this browser" : key.kind === "web" ? "browser" : "key",
      screen,
      act: <Revoke apiKey={key} />,
    })),
    ...deliveries.map((delivery) => ({
      key: `delivery ${delivery.delivery_id}`,
      label: `Resend ${printable(delivery.phase, 40)} of ${printable(delivery.environment_name, 80)}`,
      hint: `webhook, ${printable(delivery.state.replace("_", " "), 40)}`,
      screen,
      act: <Resend delivery={delivery} />,
    })),
  ];
}

/**
 * Returns the entries that hold each word of a text. Entries with a word that begins like the text come first: `end` before
 * `extend`.
 */
export function findEntries(entries: readonly Entry[], text: string): Entry[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const holding = (before: string) =>
    entries.filter(({ label, hint }) => {
      const all = ` ${label} ${hint}`.toLowerCase();
      return words.every((word) => all.includes(before + word));
    });
  return [...new Set([...holding(" "), ...holding("")])];
}
