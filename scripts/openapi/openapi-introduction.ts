export const introduction = `**How to get a key.** On a local stack, in a second shell of its folder:

\`\`\`sh
npm run --silent env
\`\`\`

It prints \`API_KEY\`; \`-- --fresh\` makes a new one. On a deployment, exchange your AWS identity for a key with \`POST
/v1/auth/aws-login\` below. The key is valid for some hours.

Then press **Authorize** and paste the key into *one* of the two fields: it works in \`Authorization: Bearer <key>\` and in
\`X-API-Key: <key>\`, on every path. A client without a place for either puts it into the base URL: \`/k/<key>\`.

**A first job.** Under Jobs below, submit the proposed job, show it by its \`job_id\` until its status is \`active\`, and
cancel it.

Berth serves five published APIs over the same machines, disks and keys. Times are RFC 3339 in UTC. Every problem has the
shape of its API and a \`Berth-Error\` header with its kind, and every answer has an \`X-Request-ID\`. Answers may contain
fields that you do not know.
`;
