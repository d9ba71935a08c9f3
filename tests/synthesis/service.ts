import type { Resource } from "./synthesize.ts";

/** Returns the service as IAM actions name it. The AWS provider names some differently. */
export function getService({ type }: Resource): string {
  if (type.startsWith("aws:cloudwatch/log")) return "logs";
  if (type.startsWith("aws:cloudwatch/event")) return "events";
  const [, service = ""] = /^aws:([a-z0-9]+)/.exec(type) ?? [];
  if (service === "vpc") return "ec2";
  return service === "apigatewayv2" ? "apigateway" : service;
}
