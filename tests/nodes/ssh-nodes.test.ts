import { afterAll, beforeAll, describe } from "vitest";
import { agentConformance } from "../conformance/openssh/agent.ts";
import { copiesConformance } from "../conformance/openssh/copies.ts";
import { forwardsConformance } from "../conformance/openssh/forwards.ts";
import { homeConformance } from "../conformance/openssh/home.ts";
import { largeConformance } from "../conformance/openssh/large.ts";
import { loginConformance } from "../conformance/openssh/login.ts";
import { noticesConformance } from "../conformance/openssh/notices.ts";
import { programsConformance } from "../conformance/openssh/programs.ts";
import { sftpConformance } from "../conformance/openssh/sftp.ts";
import { sharedConformance } from "../conformance/openssh/shared.ts";
import { variablesConformance } from "../conformance/openssh/variables.ts";
import { type EnteredPods, openEnteredPods } from "./pod-guest.ts";

let pods: EnteredPods;

beforeAll(async () => {
  pods = await openEnteredPods();
});

// A start that fails leaves no pod.
afterAll(() => (pods as EnteredPods | undefined)?.close());

const open = () => pods.open();

describe("the OpenSSH client in a pod", () => copiesConformance(open));

describe("the shell of a pod, with the OpenSSH client", () => {
  const profile = "a login shell would read a profile, and many reset the image's PATH";
  loginConformance(open, { "is a login shell if the client names no command": profile });
});

describe("over the OpenSSH client into a pod", () => {
  programsConformance(open, {
    "git clones from a run and pushes back":
      "the image has no git, which needs Perl, 90 MB in each cluster of the tests",
  });
});

describe("forwards of the OpenSSH client into a pod", () => forwardsConformance(open));

describe("one connection of several OpenSSH clients into a pod", () => sharedConformance(open));

describe("the agent of an OpenSSH client in a pod", () => agentConformance(open));

describe("SFTP of OpenSSH 9 into a pod", () => sftpConformance(open));

describe("large requests on one shared connection into a pod", () => largeConformance(open));

describe("the home of sessions in a pod", () => homeConformance(open));

describe("the variables of sessions in a pod", () => variablesConformance(open));

describe("notices over SSH into a pod", () => noticesConformance((options) => pods.openNoticeGuest(options)));
