import type { Run } from "#core/ports/compute.ts";
import { RunNotTaken, RunRefused } from "#core/problem.ts";
import { ApiRefused } from "../client/api-error.ts";
import { describeMessage } from "../client/describe-message.ts";
import { formatDockerConfig } from "../runs/run-parts.ts";

export interface AdmissionDenied {
  readonly words: string;
  readonly isForGood: boolean;
  /** Whether it ends once the cluster has room or is healthy again. Neither the run nor a machine is at fault. */
  readonly passes: boolean;
}

/**
 * Errors of an overloaded or unreachable API server (k8s.io/apimachinery: pkg/api/errors, for 429, 500, 503 and 504;
 * etcd: api/v3rpc/rpctypes/error.go; net/http of Go).
 */
const overloaded =
  /too many requests|please try again later|unable to handle the request|unable to return a response in the time allotted|etcdserver: |evaluation timed out|Internal error occurred|context deadline exceeded|request timed out|i\/o timeout|TLS handshake timeout|connection (?:refused|reset)|http2: /i;

/**
 * Refusals in the API server's words (k8s.io/apiserver: plugin/webhook/errors/statuserror.go and
 * plugin/policy/validating; k8s.io/pod-security-admission; plugin/pkg/admission/limitranger).
 */
const phrases: readonly (readonly [RegExp, (found: Found) => AdmissionDenied])[] = [
  [/admission webhook "([^"]+)" denied the request(?: without explanation|: (.*))?/s, byPolicy],
  [/Validating\w*Policy '([^']+)' with binding '[^']*' denied request: (.*)/s, byPolicy],
  [/violates PodSecurity "[^"]*": (.*)/s, ([, why]) => forGood(`Refused by the cluster's pod security: ${why}`)],
  [
    /((?:minimum|maximum) \S+ usage per (?:Container|Pod|PersistentVolumeClaim) is .*)/s,
    ([, why]) => forGood(`Refused by the cluster's limits: ${why}`),
  ],
  [/\bPod "[^"]*" is invalid: (.*)/s, ([, why]) => forGood(`The cluster refuses the run: ${why}`)],
  [/exceeded quota: ([^,]+)/, ([, quota]) => passing(`the quota ${quota} of the cluster is used up`)],
  [/status unknown for quota: ([^,]+)/, ([, quota]) => passing(`the quota ${quota} of the cluster is not counted yet`)],
  [/insufficient quota to match these scopes/, () => passing("no quota of the cluster allows its priority class")],
  [/no PriorityClass with name (\S+) was found/, ([, name]) => passing(`the cluster has no priority class ${name}`)],
  [/failed calling webhook "([^"]+)"/, ([, name]) => passing(`the cluster's webhook ${name} does not answer`)],
];

type Found = readonly (string | undefined)[];

function byPolicy([, name = "", why]: Found): AdmissionDenied {
  return forGood(`Refused by the cluster's policy ${name}${why ? `: ${why}` : ""}`);
}

function forGood(words: string): AdmissionDenied {
  return { words: describeMessage(words), isForGood: true, passes: false };
}

function passing(words: string): AdmissionDenied {
  return { words: describeMessage(words), isForGood: false, passes: true };
}

/** Returns why the cluster refused its own controller a pod, from the text of an event. */
export function podRefusalIn(said: string): AdmissionDenied {
  const knownRefusal = refusalIn(said);
  if (knownRefusal) return knownRefusal;
  if (overloaded.test(said)) return passing("the cluster's API server is overloaded or cannot be reached");
  return { words: describeMessage(said), isForGood: false, passes: false };
}

/** `hide` removes what may not be shown from the parts of the text that the words repeat. */
export function refusalIn(said: string, hide: (text: string) => string = String): AdmissionDenied | undefined {
  for (const [pattern, read] of phrases) {
    const found = pattern.exec(said);
    if (found) return read(found.map((part: string | undefined) => part && hide(part)));
  }
  return undefined;
}

/** Capitalizes the first letter. */
export function asSentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}

type RunTexts = Pick<Run, "image" | "env" | "command" | "registryLogin">;

/** Converts a refusal into an error that the core handles. Other errors stay unchanged. */
export function asRefused(error: unknown, run: RunTexts): unknown {
  if (!(error instanceof ApiRefused)) return error;
  // Classified before texts are hidden: a user could choose one that is part of a refusal.
  const knownRefusal = refusalIn(error.said, (text) => withoutSecrets(text, run));
  const refusal = isOfTheObject(error)
    ? (knownRefusal ?? invalid(error.status, withoutSecrets(error.said, run)))
    : knownRefusal?.isForGood
      ? undefined
      : knownRefusal;
  if (!refusal) return error;
  return refusal.isForGood ? new RunRefused(refusal.words) : new RunNotTaken(refusal.words);
}

/** Reports whether the error is about the object. Authentication, conflicts and rate limits are not. */
function isOfTheObject({ status }: ApiRefused): boolean {
  return status >= 400 && status < 500 && ![401, 404, 408, 409, 429].includes(status);
}

function invalid(status: number, said: string): AdmissionDenied | undefined {
  if (status === 413) return forGood("Its environment variables are too large for the cluster");
  if (status !== 422) return undefined;
  return forGood(`The cluster refuses the run: ${said.replace(/^\S+ "[^"]*" is invalid: /, "")}`);
}

/** Minimum length of a hidden text: a shorter one is part of many words. */
const shortestSecret = 6;

/** Hides the user's texts, plain or quoted, because a refusal may repeat its input. */
function withoutSecrets(said: string, { image, env, command, registryLogin }: RunTexts): string {
  const login = registryLogin ? [formatDockerConfig(image, registryLogin), ...Object.values(registryLogin)] : [];
  const texts = [...login, ...Object.values(env), command ?? ""].filter(({ length }) => length >= shortestSecret);
  const quoted = texts.map(quote);
  // The password is quoted within a text that is quoted again. The API server stores values of Secrets in base64.
  const forms = [
    ...texts,
    ...quoted,
    ...quoted.map(quote),
    ...texts.map((text) => Buffer.from(text).toString("base64")),
  ];
  const longestFirst = forms.toSorted((left, right) => right.length - left.length);
  return longestFirst.reduce((left, text) => left.replaceAll(text, "…"), said);
}

function quote(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
