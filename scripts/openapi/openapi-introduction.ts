export const introduction = `**How to get a key.** On a local stack, in a second shell of its folder:

\`\`\`sh
npm run --silent env
\`\`\`

It prints \`API_KEY\`; \`-- --fresh\` makes a new one. Where Berth is deployed, exchange the AWS identity that you already
have for a key that lives for some hours, with \`POST /v1/auth/aws-login\` below.

Then press **Authorize** and paste the key into *one* of the two fields: it works in \`Authorization: Bearer <key>\` and in
\`X-API-Key: <key>\`, on every path. A client without a place for either puts it into the base URL: \`/k/<key>\`.

**A first job.** Under Jobs below: submit one as it is proposed, show it by its \`job_id\` until its status is
\`active\`, and cancel it.

Five published APIs are served at once, over the same machines, disks and keys. Times are RFC 3339 in UTC. Every problem
has the shape of its API and a \`Berth-Error\` header that names its kind, and every answer an \`X-Request-ID\`. Fields that you do not know may come with any answer.
`;
