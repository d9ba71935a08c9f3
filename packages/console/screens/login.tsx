import { useState } from "react";
import { Link } from "wouter";
import { berth } from "../data/client.ts";
import { useOnce } from "../data/live.ts";
import { describeLoss, needsLogin } from "../data/lost-session.ts";
import { heldCode, signIn } from "../data/session.ts";
import { takeWantedScreen } from "../data/wanted-screen.ts";
import { printable } from "../data/words.ts";
import { CommandLine } from "../parts/command-line.tsx";
import { Failure } from "../parts/notices.tsx";

/** Asks before it uses the code. Otherwise a link could silently log a browser in as another user. */
export function Login() {
  const code = heldCode();
  return (
    <main id="main" className="door">
      <title>Sign in · Berth</title>
      <h1>Berth</h1>
      {code === undefined ? <Session /> : <Confirm code={code} />}
    </main>
  );
}

/** Shows the name of the logged-in user, or why no user is logged in. */
function Session() {
  const { data, error } = useOnce(["me"], (signal) => berth.me({ signal }));
  if (needsLogin(error)) return <HowTo reason={describeLoss(error)} isDisabled={error.code === "user_disabled"} />;
  if (error) return <Failure error={error} isRetried />;
  if (!data) return <p aria-busy="true">Reading the session …</p>;
  return (
    <>
      <p>
        This browser is logged in as <strong>{printable(data.username, 200)}</strong>.
      </p>
      <div className="buttons">
        <Link className="button primary" href="/">
          Go to your environments
        </Link>
      </div>
    </>
  );
}

function HowTo({ reason, isDisabled = false }: { readonly reason: string; readonly isDisabled?: boolean }) {
  if (isDisabled) return <p>{reason} Ask an operator to enable it.</p>;
  return (
    <>
      <p>{reason} Get a link from your terminal. It works once, for a minute:</p>
      <CommandLine words="berth web" />
      <p className="faint">
        The link carries no key of yours. The session shows under <em>Account</em>, where you can end it.
      </p>
    </>
  );
}

/** Says why a login leads nowhere in a browser that refuses the session's cookie. */
function LostCookie() {
  return (
    <div className="failure" role="alert">
      <p className="empty-title">This browser kept no cookie</p>
      <p>The session needs one. Allow cookies for this address, or use Firefox or a current Chromium.</p>
      <CommandLine words="berth web --no-open" />
    </div>
  );
}

function Confirm({ code }: { readonly code: string }) {
  const query = useOnce(["code"], (signal) => berth.web.showCode(code, { signal }));
  const [error, setError] = useState<Error>();
  const [isBusy, setIsBusy] = useState(false);
  const [lacksCookie, setLacksCookie] = useState(false);
  const { data } = query;
  const failure = error ?? query.error;
  if (lacksCookie) return <LostCookie />;
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
      (isKept) => (isKept ? location.replace(takeWantedScreen()) : setLacksCookie(true)),
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
