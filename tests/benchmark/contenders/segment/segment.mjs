// Segment's own destination for Customer.io, fed with batches of its greatest size.
import http from "node:http";
import https from "node:https";
import readline from "node:readline";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { Destination } = require("@segment/actions-core");
const customerio =
  require("@segment/action-destinations/dist/destinations/customerio").default;

const MOST_EVENTS = 100;
const loopback = new URL(process.env.LOOPBACK);
const agent = new http.Agent({ keepAlive: true });

// The destination knows the addresses of Customer.io alone.
https.request = ({ method, path, headers }, ...rest) =>
  http.request(
    { method, path, headers, agent, hostname: loopback.hostname, port: loopback.port },
    ...rest,
  );

const mapping = Object.fromEntries(
  Object.entries(customerio.actions.trackEvent.fields)
    .filter(([, field]) => field.default !== undefined)
    .map(([name, field]) => [name, field.default]),
);
const settings = {
  siteId: "made-up",
  apiKey: "made-up",
  subscriptions: [
    { subscribe: 'type = "track"', partnerAction: "trackEvent", mapping },
  ],
};
const destination = new Destination(customerio);

async function send(events) {
  for (const { multistatus } of await destination.onBatch(events, settings)) {
    const failed = multistatus.find((each) => each.status >= 300);
    if (failed) throw new Error(JSON.stringify(failed));
  }
}

let events = [];
for await (const line of readline.createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (message.type !== "RECORD") continue;
  events.push({ type: "track", ...message.record });
  if (events.length === MOST_EVENTS) {
    await send(events);
    events = [];
  }
}
if (events.length) await send(events);
agent.destroy();
