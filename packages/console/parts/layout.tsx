import { type ReactNode, useState } from "react";
import { Link, useLocation } from "wouter";
import type { Me } from "../../sdk/berth.ts";
import { listPlaces } from "../data/screens.ts";
import { signOut } from "../data/session.ts";
import { printable } from "../data/words.ts";
import { CommandLine } from "./command-line.tsx";
import { Newer } from "./newer.tsx";

interface LayoutProps {
  /** The user, if the page could read it. */
  readonly me?: Me;
  /** Opens the palette. */
  readonly palette?: ReactNode;
  readonly children: ReactNode;
}

export function Layout({ me, palette, children }: LayoutProps) {
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="top">
        <Link href="/" className="brand">
          Berth
        </Link>
        <nav aria-label="Screens">
          {listPlaces(me ?? { is_operator: false }).map(([path, name]) => (
            <Place key={path} path={path} name={name} />
          ))}
        </nav>
        {palette}
        {me && <UserMenu me={me} />}
      </header>
      <Newer />
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

function UserMenu({ me }: { readonly me: Me }) {
  return (
    <>
      <button type="button" className="who quiet" popoverTarget="user-menu">
        <bdi>{printable(me.username, 60)}</bdi> ▾
      </button>
      <div id="user-menu" popover="auto" className="menu">
        <p>
          Signed in as <strong>{printable(me.username, 200)}</strong>
          {me.is_operator && ", an operator"}
        </p>
        <SignOut />
        <p>
          <CommandLine words={`berth keys revoke ${me.key.key_prefix}`} />
        </p>
      </div>
    </>
  );
}

function SignOut() {
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const go = () => {
    setIsBusy(true);
    signOut().catch((thrown: Error) => {
      setError(thrown);
      setIsBusy(false);
    });
  };
  return (
    <>
      <button type="button" disabled={isBusy} onClick={go}>
        {isBusy ? "Requested …" : "Sign out"}
      </button>
      {error && (
        <p className="wrong" role="alert">
          You are still signed in. {printable(error.message, 300)}
        </p>
      )}
    </>
  );
}

function Place({ path, name }: { readonly path: string; readonly name: string }) {
  const [location] = useLocation();
  const isHere = path === "/" ? location === "/" || /^\/(jobs|new)/.test(location) : location.startsWith(path);
  return (
    <Link href={path} aria-current={isHere ? "page" : undefined}>
      {name}
    </Link>
  );
}

/** The heading of a screen. It names the tab too. */
export function Title({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  const shown = printable(title, 120);
  return (
    <div className="title">
      <title>{`${shown} · Berth`}</title>
      <h1>
        <bdi>{shown}</bdi>
      </h1>
      <div className="buttons">{children}</div>
    </div>
  );
}
