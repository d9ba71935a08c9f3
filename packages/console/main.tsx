import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { Component, type ReactNode, StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { Route, Switch, useLocation } from "wouter";
import type { Me } from "../sdk/berth.ts";
import { berth } from "./data/client.ts";
import { prefetchLivingJobs } from "./data/environments.ts";
import { firstReads } from "./data/first-reads.ts";
import { useOnce } from "./data/live.ts";
import { needsLogin } from "./data/lost-session.ts";
import { decodePart } from "./data/path-part.ts";
import { keepWantedScreen } from "./data/wanted-screen.ts";
import { Announcer } from "./parts/announcer.tsx";
import { KeptFocus } from "./parts/kept-focus.ts";
import { Layout, Title } from "./parts/layout.tsx";
import { Empty, Failure, Loading } from "./parts/notices.tsx";
import { Account } from "./screens/account.tsx";
import { Audit } from "./screens/admin/audit.tsx";
import { AllDeliveries } from "./screens/admin/deliveries.tsx";
import { Operation } from "./screens/admin/operation.tsx";
import { Users } from "./screens/admin/users.tsx";
import { Cluster } from "./screens/cluster.tsx";
import { DiskScreen } from "./screens/disks/disk.tsx";
import { Disks } from "./screens/disks/disks.tsx";
import { Environments } from "./screens/environments.tsx";
import { JobScreen } from "./screens/job.tsx";
import { Login } from "./screens/login.tsx";
import { Logs } from "./screens/logs.tsx";
import { NewScreen } from "./screens/new/new.tsx";
import { Palette } from "./screens/palette/palette.tsx";

/** The SDK repeats calls, and useLive reads again, so queries have no retries of their own. */
const client = new QueryClient({
  defaultOptions: {
    queries: { retry: false, networkMode: "always" },
    mutations: { retry: false, networkMode: "always" },
  },
});

void client.prefetchQuery({ queryKey: ["me"], queryFn: () => firstReads.me });
prefetchLivingJobs(client);

function App() {
  return (
    <Switch>
      <Route path="/login">
        <Login />
      </Route>
      <Route>
        <Inside />
      </Route>
    </Switch>
  );
}

function Inside() {
  const query = useOnce(["me"], (signal) => berth.me({ signal }));
  // An open page whose session has ended keeps its screen, which says so.
  if (query.data) return <Screens me={query.data} />;
  if (needsLogin(query.error)) return <LoginRedirect />;
  if (!query.error) return <Loading />;
  return (
    <Layout>
      <Title title="Your session" />
      <Failure error={query.error} isRetried />
    </Layout>
  );
}

function Screens({ me }: { readonly me: Me }) {
  return (
    <Layout me={me} palette={<Palette me={me} />}>
      <Switch>
        <Route path="/" component={Environments} />
        <Route path="/new" component={NewScreen} />
        <Route path="/jobs/:id">{({ id }) => <JobScreen key={id} id={id} />}</Route>
        <Route path="/jobs/:id/logs">{({ id }) => <Logs key={id} id={id} />}</Route>
        <Route path="/disks" component={Disks} />
        <Route path="/disks/:name">{({ name }) => <DiskOrNothing name={decodePart(name)} />}</Route>
        <Route path="/cluster" component={Cluster} />
        <Route path="/account" component={Account} />
        <Route path="/admin" component={Operation} />
        <Route path="/admin/users" component={Users} />
        <Route path="/admin/deliveries" component={AllDeliveries} />
        <Route path="/admin/audit" component={Audit} />
        <Route component={Nothing} />
      </Switch>
    </Layout>
  );
}

function DiskOrNothing({ name }: { readonly name: string | undefined }) {
  return name === undefined ? <Nothing /> : <DiskScreen key={name} name={name} />;
}

function Nothing() {
  return (
    <>
      <Title title="Nothing is here" />
      <Empty title="There is no such screen">
        <a href="/">Go to your environments</a>
      </Empty>
    </>
  );
}

/** Leads to the login, which returns to the present screen. */
function LoginRedirect() {
  const [, navigate] = useLocation();
  useEffect(() => {
    keepWantedScreen(location.pathname + location.search);
    navigate("/login", { replace: true });
  }, [navigate]);
  return null;
}

/** Shows a fault of a screen in place of an empty page. */
class Faults extends Component<{ readonly children: ReactNode }, { readonly error?: Error }> {
  override state: { readonly error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    return error ? <Failure error={error} /> : this.props.children;
  }
}

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <Faults>
          <App />
        </Faults>
        <Announcer />
        <KeptFocus />
      </QueryClientProvider>
    </StrictMode>,
  );
}
