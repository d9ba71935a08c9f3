/// <reference path="./.sst/platform/config.d.ts" />

/** The app on AWS. Its resources come with the AWS deployment, one file per family in stacks/. */
export default $config({
  app(input) {
    const isProduction = input?.stage === "production";
    return {
      name: "berth",
      home: "aws",
      removal: isProduction ? "retain" : "remove",
      protect: isProduction,
    };
  },
  async run() {},
});
