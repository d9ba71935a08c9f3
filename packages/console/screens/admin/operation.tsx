import type { components } from "../../../sdk/schema.ts";
import { berth } from "../../data/client.ts";
import { useLive } from "../../data/live.ts";
import { counted, printable } from "../../data/words.ts";
import { At } from "../../parts/clock.tsx";
import { Loaded } from "../../parts/notices.tsx";
import { AdminTitle } from "./admin-title.tsx";
import { AllJobs } from "./all-jobs.tsx";
import { Closed, Closing, Planned } from "./closing.tsx";
import { Machines, Queue, Types, Undraining } from "./pools.tsx";

type PoolList = components["schemas"]["AdminPoolList"];

/** Screen with the jobs of all users, the holders of machines, and closed types. */
export function Operation() {
  const query = useLive(["admin", "pools"], (signal) => berth.admin.pools({ signal }));
  return (
    <>
      <AdminTitle title="Operation" />
      <Loaded query={query}>
        {(data) => (
          <>
            <Admission list={data} />
            <Types pools={data.pools} />
            <NodeGroups reading={data.node_groups} />
            <Queue pools={data.pools} />
            <Machines pools={data.pools} />
          </>
        )}
      </Loaded>
      <AllJobs />
      <Orphans />
    </>
  );
}

/** Says when EKS told its node groups, and why not if it replied with an error since. */
function NodeGroups({ reading }: { readonly reading: PoolList["node_groups"] }) {
  if (!reading) return null;
  const { read_at, error } = reading;
  return (
    <p className="faint">
      {read_at === null ? (
        "Node groups never read"
      ) : (
        <>
          Node groups read at <At time={read_at} />
        </>
      )}
      {error === null ? "." : `; EKS: ${printable(error, 80)}`}
    </p>
  );
}

function Admission({ list: { paused, pools } }: { readonly list: PoolList }) {
  const isOpen = paused === null;
  return (
    <section>
      <h2>Admission</h2>
      {isOpen ? <p>New environments start.</p> : <Closed what="No new environment starts" note={paused} />}
      {pools.map((pool) => (
        <Drained key={pool.gpu_type} pool={pool} />
      ))}
      <div className="buttons">
        <Closing
          subject="admission"
          label={isOpen ? "Pause" : "Resume"}
          command={isOpen ? "berth admin pause" : "berth admin resume"}
          effect={isOpen ? "No environment starts until you resume. Those that run go on." : "Waiting ones start."}
          needsReason={isOpen}
          run={(reason) => berth.admin.setPaused(isOpen, { reason })}
        />
      </div>
    </section>
  );
}

type Pool = PoolList["pools"][number];

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

function describePlace({ zone, node_group, node }: Pool["drained_parts"][number]): string {
  if (node !== null) return `on ${printable(node, 253)}`;
  if (zone !== null) return `in zone ${printable(zone, 100)}`;
  return node_group === null ? "" : `on machines of node group ${printable(node_group, 100)}`;
}

function Orphans() {
  const query = useLive(["admin", "orphans"], (signal) => berth.admin.orphans({ signal }));
  return (
    <section>
      <h2>Orphans</h2>
      <Loaded query={query}>
        {({ checked_at, run_count, volume_count, snapshot_count, record_count, orphan_gpu_hours }) => (
          <p>
            {counted(run_count, "run")}, {counted(volume_count, "volume")}, {counted(snapshot_count, "snapshot")} and{" "}
            {counted(record_count, "record")} that nothing explains, with {orphan_gpu_hours} GPU-hours.{" "}
            <span className="faint">
              {checked_at === null ? (
                "Not checked yet."
              ) : (
                <>
                  Checked at <At time={checked_at} />.
                </>
              )}
            </span>
          </p>
        )}
      </Loaded>
    </section>
  );
}
