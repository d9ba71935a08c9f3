import { useState } from "react";
import { berth, collect } from "../../data/client.ts";
import { useOnce } from "../../data/live.ts";
import { isDiskSize, leastHours, type NewJob } from "../../data/new-job.ts";
import { parseHours } from "../../data/words.ts";
import { Field, PasswordField, TextField } from "../../parts/field.tsx";

interface FormProps {
  readonly job: NewJob;
  set(change: Partial<NewJob>): void;
}

const keyHint = "Public keys that open it, one a line. berth adds the key of its own machine";

/** Form part for all but the machine. */
export function Settings({ job, set }: FormProps) {
  const hours = parseHours(job.hours);
  return (
    <section className="fields">
      <h2>Settings</h2>
      <TextField
        label="Time"
        hint="Such as 2h, 90m or 1.5h. It ends then, unless you extend it"
        isWrong={hours === undefined}
        value={job.hours}
        set={(text) => set({ hours: text })}
      />
      <TextField
        label="Least time"
        hint="If set, it also starts on machines that close before its end, but not for less than this"
        isWrong={hours !== undefined && leastHours(job) === undefined}
        value={job.leastHours}
        set={(text) => set({ leastHours: text })}
      />
      <TextField label="Name" hint="Chosen for you if empty" value={job.name} set={(name) => set({ name })} />
      <TextField label="Image" isRequired value={job.image} set={(image) => set({ image })} />
      <RegistryFields job={job} set={set} />
      <DiskFields job={job} set={set} />
      <Field label="Command" hint="Without one it lives until its time is over">
        {(id, hintId) => (
          <textarea
            id={id}
            aria-describedby={hintId}
            rows={3}
            spellCheck={false}
            value={job.command}
            onChange={({ target }) => set({ command: target.value })}
          />
        )}
      </Field>
      <TextField
        label="GitHub user"
        hint="The SSH keys of this account open it"
        value={job.github}
        set={(github) => set({ github })}
      />
      <Field label="SSH keys" hint={keyHint}>
        {(id, hintId) => (
          <textarea
            id={id}
            aria-describedby={hintId}
            rows={2}
            spellCheck={false}
            value={job.sshKeys}
            onChange={({ target }) => set({ sshKeys: target.value })}
          />
        )}
      </Field>
      <label className="toggle">
        <input type="checkbox" checked={job.jupyter} onChange={({ target }) => set({ jupyter: target.checked })} />{" "}
        Start Jupyter
      </label>
      <label className="toggle">
        <input type="checkbox" checked={job.requeue} onChange={({ target }) => set({ requeue: target.checked })} />{" "}
        Return it to the queue if its machine is taken back, drained or lost
      </label>
    </section>
  );
}

function RegistryFields({ job, set }: FormProps) {
  // A form that comes back after a reload lacks its password.
  const [isOpen, setIsOpen] = useState(job.registryUser !== "");
  return (
    <details open={isOpen} onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>Private registry</summary>
      <div className="fields">
        <TextField
          label="User of the registry"
          hint="With this login its machines pull the image"
          most={256}
          value={job.registryUser}
          set={(registryUser) => set({ registryUser, ...(registryUser === "" && { registryPassword: "" }) })}
        />
        {job.registryUser !== "" && <PasswordField set={(registryPassword) => set({ registryPassword })} />}
      </div>
    </details>
  );
}

function DiskFields({ job, set }: FormProps) {
  const { data: disks = [] } = useOnce(["disks", "names"], (signal) => collect(berth.disks.list({ signal })));
  const found = disks.find(({ disk_name }) => disk_name === job.disk);
  const hint = job.disk === "" ? "Without one, all files are lost when it ends" : describeDisk(found);
  return (
    <>
      <TextField label="Disk" list="disk-names" hint={hint} value={job.disk} set={(disk) => set({ disk })} />
      <datalist id="disk-names">
        {disks.map(({ disk_name }) => (
          <option key={disk_name} value={disk_name} />
        ))}
      </datalist>
      {job.disk !== "" && (!found || !isDiskSize(job)) && (
        <TextField
          label="Size of the disk in GB"
          hint="10 to 10000, 100 if empty"
          isWrong={!isDiskSize(job)}
          value={job.diskSize}
          set={(diskSize) => set({ diskSize })}
        />
      )}
    </>
  );
}

function describeDisk(disk: { readonly size_gb: number; readonly in_use: boolean } | undefined): string {
  if (!disk) return "There is none of this name: it is made";
  return disk.in_use ? "It is in use now" : `Yours, of ${disk.size_gb} GB`;
}
