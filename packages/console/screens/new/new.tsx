import { useDeferredValue, useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import type { SubmitJob } from "../../../sdk/jobs.ts";
import { useAct } from "../../data/acts.ts";
import { berth } from "../../data/client.ts";
import { type NewJob, newSubject, submitBody, upLine, withLogin, yamlFile } from "../../data/new-job.ts";
import { printable } from "../../data/words.ts";
import { CommandLine } from "../../parts/command-line.tsx";
import { Title } from "../../parts/layout.tsx";
import { Failure } from "../../parts/notices.tsx";
import { Estimate } from "./estimate.tsx";
import { useKeptForm } from "./kept-form.ts";
import { MachinePicker } from "./machine-picker.tsx";
import { Settings } from "./settings.tsx";

export function NewScreen() {
  const { job, change, idempotencyKey } = useKeptForm();
  const [error, setError] = useState<Error>();
  const [isBusy, setIsBusy] = useState(false);
  const [, navigate] = useLocation();
  const isShown = useIsShown();
  const act = useAct(newSubject);
  const body = submitBody(job);
  const submit = async (ready: SubmitJob) => {
    setIsBusy(true);
    setError(undefined);
    idempotencyKey.current ??= crypto.randomUUID();
    try {
      const { job_id } = await berth.jobs.submit(ready, { idempotencyKey: idempotencyKey.current });
      // The user may already type on another screen.
      if (isShown.current) navigate(`/jobs/${job_id}`);
    } catch (thrown) {
      setError(thrown as Error);
      setIsBusy(false);
      throw thrown;
    }
  };
  return (
    <>
      <Title title="New environment" />
      <form
        className="columns new"
        onSubmit={(event) => {
          event.preventDefault();
          if (body && !isBusy) void act(`Submit ${job.name || body.instance_type}`, () => submit(withLogin(body, job)));
        }}
      >
        <div>
          <MachinePicker job={job} set={change} />
          <Settings job={job} set={change} />
        </div>
        <div className="aside">
          <section>
            <h2>When it would start</h2>
            <Estimate body={body} />
          </section>
          {error && <Failure error={error} />}
          <div className="buttons">
            <button type="submit" className="primary" disabled={!body || isBusy || lacksPassword(job)}>
              {isBusy ? "Requested …" : "Start it"}
            </button>
          </div>
          <Same job={job} body={body} />
        </div>
      </form>
    </>
  );
}

/** Returns a ref that is true while the screen is on the page. */
function useIsShown() {
  const isShown = useRef(true);
  useEffect(() => {
    isShown.current = true;
    return () => {
      isShown.current = false;
    };
  }, []);
  return isShown;
}

function lacksPassword({ registryUser, registryPassword }: NewJob): boolean {
  return registryUser !== "" && registryPassword === "";
}

/** The same request for a terminal, a file and a program. */
function Same({ job, body }: { readonly job: NewJob; readonly body: SubmitJob | undefined }) {
  const shown = useDeferredValue(job);
  const shownBody = body && withLogin(body, { ...job, registryPassword: "…" });
  return (
    <section className="stack">
      <h2>The same elsewhere</h2>
      <CommandLine words={upLine(shown)} />
      <details>
        <summary>berth.yaml</summary>
        <pre className="code">{printableLines(yamlFile(shown))}</pre>
      </details>
      <details>
        <summary>JSON of POST /v1/jobs/submit</summary>
        <pre className="code">{printableLines(JSON.stringify(shownBody ?? {}, null, 2))}</pre>
      </details>
    </section>
  );
}

function printableLines(text: string): string {
  return text
    .split("\n")
    .map((line) => printable(line))
    .join("\n");
}
