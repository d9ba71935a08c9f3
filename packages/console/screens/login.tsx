import { useState } from "react";
import { berth } from "../data/client.ts";
import { useOnce } from "../data/live.ts";
import { heldCode, signIn } from "../data/session.ts";
import { printable } from "../data/words.ts";
import { CommandLine } from "../parts/command-line.tsx";
import { Failure } from "../parts/notices.tsx";

/** Asks before the code is used, so that a link of somebody else cannot sign this browser in unnoticed. */
export function Login({ reason }: { readonly reason?: string }) {
  const code = heldCode();
  return (
    <main id="main" className="door">
      <title>Sign in · Berth</title>
      <h1>Berth</h1>
      {code === undefined ? <HowTo reason={reason} /> : <Confirm code={code} />}
    </main>
  );
}

function HowTo({ reason }: { readonly reason: string | undefined }) {
  return (
    <>
      <p>{reason ?? "This browser has no session."} Get a link from your terminal. It works once, for a minute:</p>
      <CommandLine words="berth web" />
      <p className="faint">
        The link carries no key of yours. The session shows under <em>Account</em>, where you can end it.
      </p>
    </>
  );
}

function Confirm({ code }: { readonly code: string }) {
  const query = useOnce(["code"], (signal) => berth.web.showCode(code, { signal }));
  const [error, setError] = useState<Error>();
  const [isBusy, setIsBusy] = useState(false);
  const { data } = query;
  const failure = error ?? query.error;
  if (failure) {
    return (
      <>
        <Failure error={failure} />
        <HowTo reason="The link works no more." />
      </>
    );
  }
  if (!data) return <p aria-busy="true">Reading the link …</p>;
  const go = async () => {
    setIsBusy(true);
    await signIn(code).then(
      () => location.replace("/"),
      (thrown: Error) => setError(thrown),
    );
  };
  return (
    <>
      <p>
        Continue as <strong>{printable(data.username, 200)}</strong> on this computer?
      </p>
      <div className="buttons">
        <a className="button" href="/login">
          No
        </a>
        <button type="button" className="primary" disabled={isBusy} onClick={() => void go()}>
          Continue
        </button>
      </div>
    </>
  );
}
