// s3rver on a loopback port of its own choice: node server.js DIRECTORY BUCKET. Says the port, and ends with its stdin.
"use strict";
const S3rver = require(require.resolve("s3rver", { paths: [process.env.EBB_S3_MODULES] }));

const [directory, bucket] = process.argv.slice(2);
const server = new S3rver({
  address: "127.0.0.1",
  port: 0,
  silent: true,
  directory,
  vhostBuckets: false,
  configureBuckets: [{ name: bucket }],
});
server.run().then((address) => console.log(address.port));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
