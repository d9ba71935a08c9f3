/** What means the same wherever it stands. */
export const commonFields: Readonly<Record<string, string | undefined>> = {
  limit: "Maximum number of entries to return.",
  offset: "Number of entries to skip.",
  total: "Number of entries in all.",
  message: "What happened, in words.",
  created_at: "When it was created.",
  createdAt: "When it was created.",
  timestamp: "When these values were read.",
  success: "Always true. A problem has another shape.",
  data: "The result.",
  "If-None-Match": "The `ETag` of an answer that you have. If it still holds, the answer is 304 without a body.",
  "Idempotency-Key":
    "Your own name for this request, 1 to 255 printable ASCII characters. For 24 hours a repeat with the same body makes " +
    "nothing twice and gets the first answer again.",
};

/** What the properties of problems mean. */
export const problemFields: Readonly<Record<string, string | undefined>> = {
  detail: "What is wrong in words or, of bad fields, a list of all of them.",
  "OnmemosProblem.detail": "What is wrong, in words.",
  type: "The kind of mistake, for programs.",
  loc: "Where it is: `body` or `query`, then the names that lead to the field.",
  msg: "What is wrong with the field, in words.",
  input: "What was sent there; secrets are `***`.",
  error: "What is wrong, in words.",
  "NovitaProblem.error": "What is wrong.",
  "Dev8Problem.error": "The kind of problem, in words.",
  "SessionManagerProblem.message": "What to do about it, where there is more to say.",
  message: "What is wrong, in words.",
  code: "The kind of problem, for programs.",
  timestamp: "When it was answered.",
  requestId: "The `X-Request-ID` of the answer, by which operators find it.",
  correlationId: "The `X-Correlation-ID` of the request, if it had one.",
  details: "All bad fields, where it is about fields.",
  field: "The field's name.",
  value: "What was sent there; secrets are redacted.",
  success: "Always false.",
};
