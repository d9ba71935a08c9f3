import { berth } from "../../data/client.ts";
import { useLive } from "../../data/live.ts";
import { counted } from "../../data/words.ts";
import { At } from "../../parts/clock.tsx";
import { Loaded } from "../../parts/notices.tsx";
import { AdminTitle } from "./admin-title.tsx";
import { Admission } from "./admission.tsx";
import { AllJobs } from "./all-jobs.tsx";
import { Machines } from "./machines.tsx";
import { NodeGroups } from "./node-groups.tsx";
import { Queue } from "./queue.tsx";
import { Types } from "./types.tsx";

export function usePools() {
  return useLive(["admin", "pools"], (signal) => berth.admin.pools({ signal }));
}

/** Screen with the jobs of all users, the holders of machines, and closed types. */
export function Operation() {
  const query = usePools();
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
