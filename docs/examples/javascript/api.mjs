// A small API protected by Xenoauth. Environment: XENOAUTH_ISSUER, CLIENT_ID, CLIENT_SECRET and PORT.
import { createServer } from "node:http";
import { permission, scope, self, verifier } from "./bearer.mjs";

const protect = verifier({
  issuer: process.env.XENOAUTH_ISSUER,
  endpoint: process.env.ENDPOINT, // only if the API reaches Xenoauth at another address
  clientId: process.env.CLIENT_ID,
  clientSecret: process.env.CLIENT_SECRET,
  audience: process.env.AUDIENCE, // the resource that tokens must be for (RFC 8707); unset for none
});

// show returns the identity of the request.
function show(request, response, { sub, account }) {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ sub, account }));
}

const owner = (request) => request.url.split(/[/?]/)[2];
const routes = [
  [/^GET \/contacts$/, protect([scope("contacts")], show)],
  [/^GET \/conversations$/, protect([permission("conversation:list")], show)],
  [/^GET \/desk$/, protect([scope("agent")], show)], // a role; higher roles include it
  [/^GET \/users\/[^/]+$/, protect([self(owner, "user:fetch:self")], show)],
];

const server = createServer((request, response) => {
  const wanted = `${request.method} ${request.url.split("?")[0]}`;
  const [, route] = routes.find(([pattern]) => pattern.test(wanted)) ?? [];
  return route ? route(request, response) : response.writeHead(404).end();
});
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
