import type { ReactNode } from "react";
import type { components } from "../../../sdk/schema.ts";
import { printable } from "../../data/words.ts";
import { describePlace, Pause, Undraining } from "../admin/admission.tsx";
import { type AdminJob, EndAny } from "../admin/all-jobs.tsx";
import { DrainNode, GoneOrBack } from "../admin/machines.tsx";
import { DrainOther, DrainType } from "../admin/types.tsx";
import { type AdminUser, Admit } from "../admin/users.tsx";
import type { Entry } from "./entries.tsx";

type PoolList = components["schemas"]["AdminPoolList"];
type Pool = PoolList["pools"][number];

interface Operated {
  readonly list: PoolList | undefined;
  /** Types without a machine. */
  readonly otherTypes: readonly string[];
  readonly jobs: readonly AdminJob[];
  readonly users: readonly AdminUser[];
}

/** Lists the acts of an operator on all starts, types, machines, environments and users. */
export function listOperatorEntries({ list, otherTypes, jobs, users }: Operated): Entry[] {
  return [
    ...(list
      ? [act("/admin", list.paused === null ? "Pause all starts" : "Resume all starts", <Pause list={list} />)]
      : []),
    ...(list?.pools.flatMap(listPoolEntries) ?? []),
    ...otherTypes.map((type) => act("/admin", `Drain ${printable(type, 40)}`, <DrainOther types={[type]} />)),
    ...jobs.map((job) => {
      const label = `End ${printable(job.name, 80)} of ${printable(job.user_id, 80)}`;
      return { ...act("/admin", label, <EndAny job={job} />), key: `operator ${job.user_id} ${job.job_id}` };
    }),
    ...users.map((user) => {
      const label = `${user.disabled ? "Enable" : "Disable"} ${printable(user.username, 80)}`;
      return act("/admin/users", label, <Admit user={user} />);
    }),
  ];
}

function listPoolEntries(pool: Pool): Entry[] {
  const type = printable(pool.gpu_type, 40);
  return [
    act("/admin", `${pool.drained ? "Undrain" : "Drain"} ${type}`, <DrainType pool={pool} />),
    ...pool.drained_parts.map((part) => {
      return act("/admin", `Undrain ${type} ${describePlace(part)}`, <Undraining type={pool.gpu_type} part={part} />);
    }),
    ...pool.planned_drains
      .filter(({ by_provider }) => !by_provider)
      .map((plan) => {
        const label = `Drop the drain of ${type} ${describePlace(plan)}`.trimEnd();
        const entry = act("/admin", label, <Undraining type={pool.gpu_type} part={plan} isPlanned />);
        return { ...entry, key: `${entry.key} ${plan.at}` };
      }),
    ...pool.nodes.flatMap(({ node, status, drained }) => {
      const name = printable(node, 253);
      const isGone = status === "gone";
      return [
        ...(drained ? [] : [act("/admin", `Drain ${name}`, <DrainNode type={pool.gpu_type} node={node} />)]),
        act("/admin", `${isGone ? "Take back" : "Declare gone"} ${name}`, <GoneOrBack node={node} isGone={isGone} />),
      ];
    }),
  ];
}

function act(screen: string, label: string, element: ReactNode): Entry {
  return { key: `operator ${label}`, label, hint: "operator", screen, act: element };
}
