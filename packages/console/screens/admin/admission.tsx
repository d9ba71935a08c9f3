import type { components } from "../../../sdk/schema.ts";
import { berth } from "../../data/client.ts";
import { shellWord } from "../../data/new-job.ts";
import { printable } from "../../data/words.ts";
import { Closed, Closing, Planned } from "./closing.tsx";

type PoolList = components["schemas"]["AdminPoolList"];
type Pool = PoolList["pools"][number];
type Part = Pick<components["schemas"]["PoolPart"], "zone" | "node_group" | "node">;

/** Says what does not start and why, and opens it again. */
export function Admission({ list }: { readonly list: PoolList }) {
  const { paused, pools } = list;
  const isOpen = paused === null;
  return (
    <section>
      <h2>Admission</h2>
      {isOpen ? <p>New environments start.</p> : <Closed what="No new environment starts" note={paused} />}
      {pools.map((pool) => (
        <Drained key={pool.gpu_type} pool={pool} />
      ))}
      <div className="buttons">
        <Pause list={list} />
      </div>
    </section>
  );
}

/** Pauses or resumes all starts. */
export function Pause({ list: { paused } }: { readonly list: PoolList }) {
  const isOpen = paused === null;
  return (
    <Closing
      subject="admission"
      label={isOpen ? "Pause" : "Resume"}
      command={isOpen ? "berth admin pause" : "berth admin resume"}
      effect={isOpen ? "No environment starts until you resume. Those that run go on." : "Waiting ones start."}
      needsReason={isOpen}
      run={(reason) => berth.admin.setPaused(isOpen, { reason })}
    />
  );
}

/** Lists the drained parts of a type and the planned drains, and undrains them. */
function Drained({ pool: { gpu_type, drained, drained_parts, planned_drains } }: { readonly pool: Pool }) {
  const type = printable(gpu_type, 40);
  const what = `No environment of type ${type} starts`;
  return (
    <>
      {drained !== null && <Closed what={what} note={drained} />}
      {drained_parts.map((part) => {
        const where = describePlace(part);
        return (
          <div key={where}>
            <Closed what={`${what} ${where}`} note={part} />
            <Undraining type={gpu_type} part={part} />
          </div>
        );
      })}
      {planned_drains.map((plan) => {
        const where = describePlace(plan);
        return (
          <div key={`planned ${where} ${plan.at}`}>
            <Planned what={`${type} ${where}`.trimEnd()} note={plan} />
            {!plan.by_provider && <Undraining type={gpu_type} part={plan} isPlanned />}
          </div>
        );
      })}
    </>
  );
}

/** Says where in a type something is drained. Returns "" for the whole type. */
export function describePlace({ zone, node_group, node }: Part): string {
  if (node !== null) return `on ${printable(node, 253)}`;
  if (zone !== null) return `in zone ${printable(zone, 100)}`;
  return node_group === null ? "" : `on machines of node group ${printable(node_group, 100)}`;
}

interface UndrainingProps {
  readonly type: string;
  readonly part: Part;
  /** Whether its drain is planned only. */
  readonly isPlanned?: boolean;
}

/** Starts environments on a drained part of a type again, or drops its planned drain. */
export function Undraining({ type, part, isPlanned = false }: UndrainingProps) {
  const [zone, nodeGroup, node] = [part.zone ?? undefined, part.node_group ?? undefined, part.node ?? undefined];
  const flag = node ? "--node" : zone ? "--zone" : "--node-group";
  const name = node ?? zone ?? nodeGroup;
  const flags = name === undefined ? "" : ` ${flag} ${shellWord(name)}`;
  return (
    <Closing
      subject={`part ${type}${flags}`}
      label={isPlanned ? "Drop" : "Undrain"}
      title={`${isPlanned ? "Drop the drain of" : "Undrain"} ${printable(name ?? type, 80)}`}
      command={`berth admin undrain ${shellWord(type)}${flags}`}
      effect={isPlanned ? "The drain is dropped. Longer environments start there again." : "Waiting ones start."}
      needsReason={false}
      run={() => berth.admin.setDrained(type, false, { zone, nodeGroup, node })}
    />
  );
}
