// Plain JavaScript: an old Node must be able to read this file to say that it is too old.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(
    `Berth runs on the Node that npm installs with it (24), but this is Node ${process.versions.node}.\n` +
      "The install script of the npm package 'node' did not run. Run `npm ci` again without --ignore-scripts,\n" +
      "or use Node 24 yourself.",
  );
  process.exit(1);
}
